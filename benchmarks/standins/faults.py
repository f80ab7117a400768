"""What the provider's stand-in answers, right and wrong."""

from __future__ import annotations

import json
from random import Random
from typing import Any

Json = dict[str, Any]

#: A deck holds so many cards, and exactly its share of faults: the rate that was set is the rate that was had.
DECK = 100


def completion(model: str, content: str, posts: int = 1) -> Json:
    """A chat completion."""
    message = {"role": "assistant", "content": content}
    return {
        "id": "gen-1",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 400 * posts, "completion_tokens": 40 * posts, "total_tokens": 440 * posts},
    }


def tagged(model: str, posts: list[tuple[int, list[str]]], *, single: bool) -> Json:
    """The right answer about these posts (number, tags)."""
    answer: Json = {"posts": [{"id": number, "tags": tags} for number, tags in posts]}
    if single:
        answer = {"tags": posts[0][1]}
    return completion(model, json.dumps(answer, ensure_ascii=False), len(posts))


def error(code: int, message: str, **metadata: Any) -> Json:
    """An error's body."""
    return {"error": {"code": code, "message": message, **({"metadata": metadata} if metadata else {})}}


def fault(name: str, model: str) -> tuple[Json, int]:
    """The body and the status of a fault of `FAULTS`."""
    match name:
        case "empty":
            return completion(model, ""), 200
        case "error_in_200":
            return error(502, "Provider returned error"), 200
        case _:
            code = int(name.removeprefix("http_"))
            return error(code, "No healthy upstream"), code


#: An upstream out of order, in its usual ways. Hanging is left out: it would measure the timeout that was set.
FAULTS = ("http_500", "http_502", "http_503", "empty", "error_in_200")


class Deck:
    """Faults at a rate, in an order that the seed decides."""

    def __init__(self, rate: float, seed: int) -> None:
        self._faults = round(rate * DECK)
        self._random = Random(seed)
        self._cards: list[str | None] = []
        self._dealt = 0

    def deal(self) -> str | None:
        """The fault of the next request, or None."""
        if not self._faults:
            return None
        if not self._cards:
            names = [FAULTS[(self._dealt + n) % len(FAULTS)] for n in range(self._faults)]
            self._dealt += self._faults
            self._cards = [*names, *[None] * (DECK - self._faults)]
            self._random.shuffle(self._cards)
        return self._cards.pop()
