"""HTTP/1.1 with as little work as will do: requests with a Content-Length in, JSON out, connections kept."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, its body unread."""

    path: str
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


#: Answers a request, once, at once or later: the JSON value, the status, more headers.
Reply = Callable[..., None]
Handler = Callable[[Request, Reply], None]


class Connection(asyncio.Protocol):
    """One client's connection. Requests that come before an earlier one is answered are not expected."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Handle each request that has come whole."""
        self._buffer += data
        while (found := self._taken()) is not None:
            request, closes = found
            self._handle(request, self._closing_reply if closes else self._reply)

    def _taken(self) -> tuple[Request, bool] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._buffer[:end])
        length = _LENGTH.search(head)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < size:
            return None
        body = bytes(self._buffer[end + 4 : size])
        del self._buffer[:size]
        return Request(head.split(b" ", 2)[1].decode(), body), _CLOSE.search(head) is not None

    def _reply(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        more = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Fault')}\r\nContent-Type: application/json\r\n"
            f"{more}Content-Length: {len(body)}\r\n\r\n"
        )
        if self._transport is not None:
            self._transport.write(head.encode() + body)

    def _closing_reply(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._reply(value, status, headers)
        if self._transport is not None:
            self._transport.close()


async def serve_for_ever(handle: Handler) -> None:
    """Serve on a free port of loopback, print it, and go on until killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(handle), "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()
