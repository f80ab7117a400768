"""A request to the provider and its correct answer."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass
class Exchange:
    """A request and its correct answer, which a fault may change."""

    request: web.Request
    body: Json
    model: str
    tags: dict[int, list[str]]
    single: bool
    message: str
    hang_seconds: float
    slow_seconds: float
    redirect_to: str
    reset_after: float
    #: Called with the number of bytes of an endless answer that were sent.
    count: Callable[[int], None]

    def truth(self) -> Json:
        """The correct answer."""
        if self.single:
            return {"tags": next(iter(self.tags.values()))}
        return {"posts": [{"id": number, "tags": tags} for number, tags in self.tags.items()]}

    def content(self) -> str:
        """The correct answer as JSON text."""
        return json.dumps(self.truth(), ensure_ascii=False)

    def completion(self, content: str | None, finish_reason: str = "stop", **message: Any) -> Json:
        """A chat completion with this content."""
        prompt = sum(len(str(m.get("content"))) for m in self.body.get("messages") or []) // 4
        completion = len(content or "") // 4
        choice = {
            "index": 0,
            "finish_reason": finish_reason,
            "native_finish_reason": finish_reason,
            "message": {"role": "assistant", "content": content, **message},
        }
        return {
            "id": f"gen-{time.time_ns()}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.model,
            "choices": [choice],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "cost": 0.0 if self.model.endswith(":free") else round((prompt + completion) * 1e-7, 9),
            },
        }


Fault = Callable[[Exchange], Awaitable[web.StreamResponse]]


def dumped(value: Any) -> bytes:
    """JSON in UTF-8 without escapes."""
    return json.dumps(value, ensure_ascii=False).encode()


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(
        body=dumped(value), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def error(
    status: int,
    message: str,
    *,
    metadata: Json | None = None,
    availability: Json | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """An error in the provider's format."""
    shown: Json = {"code": status, "message": message}
    if metadata:
        shown["metadata"] = metadata
    if availability:
        shown["availability"] = availability
    return answer({"error": shown, "user_id": "user_sandbox"}, status, headers)
