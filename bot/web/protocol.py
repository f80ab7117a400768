"""HTTP/1.1 as uvicorn and h11 speak it, within bounds: nobody holds the process's file descriptors by doing nothing.

Of uvicorn's H11Protocol, which is not documented, this uses: `conn` (replaced after `__init__`), `connections` (of the
whole server), `flow.read_paused`, `loop` and `transport`, and that `on_response_complete`, `send_400_response` (in the
`except` of h11's error) and `shutdown` are called as methods. The tests `test_patience`, `test_protocol` and
`test_server` of `tests/web` fail when one changes.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.web.envelope import REQUEST_ID, SECURITY

log = structlog.get_logger(__name__)

NOT_UNDERSTOOD = "This is no HTTP request that can be understood"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server bears. Seconds are at most; a connection beyond a limit is cut off."""

    connections: int = 256
    #: Bytes of request line and headers together, without needless blanks.
    head: int = 16 * 1024
    #: From the connection, or the answer before, to a complete head.
    head_seconds: float = 10
    #: For a whole body: who drips holds on as long as who stalls. Likewise the client has that long to take anything
    #: of an answer.
    body_seconds: float = 30


def protocol_with(limits: Limits) -> type[H11Protocol]:
    """The class that uvicorn makes one of for each connection."""

    class Protocol(_Protocol):
        _limits = limits

    return Protocol


class _Connection(h11.Connection):
    """h11 holds to its limit only what has not come completely."""

    def __init__(self, longest_head: int) -> None:
        super().__init__(h11.SERVER, longest_head)
        self._longest_head = longest_head

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            headers = sum(len(name) + len(value) + 4 for name, value in event.headers)
            if headers + len(event.method) + len(event.target) > self._longest_head:
                raise h11.RemoteProtocolError("Head too long", error_status_hint=431)
        return event


class _Protocol(H11Protocol):
    _limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Connection(self._limits.head)
        self._timer: asyncio.TimerHandle | None = None
        #: What it runs for: how far the client is.
        self._timed: object = None
        #: Bytes of answers that the client had not taken when last looked at.
        self._untaken = math.inf
        #: Whether the application made the client wait since last looked at.
        self._held_up = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self._limits.connections:
            log.debug("http_connection_refused", connections=len(self.connections))
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._held_up |= self.flow.read_paused
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Uvicorn's own timer waits for the next request, but the first byte of it ends that.
        self._watch()

    def resume_writing(self) -> None:
        self._untaken = math.inf
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        # Of a connection that is ending, uvicorn would have h11 send what it cannot, and not come to the others.
        if not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Called in the `except` of what h11 found. Not through h11, which refuses in some states it may be in."""
        error = sys.exc_info()[1]
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            too_long = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431
            detail = f"The head is longer than {self._limits.head} bytes" if too_long else NOT_UNDERSTOOD
            self.transport.write(_refusal(HTTPStatus(431 if too_long else 400), detail))
        # Otherwise another answer has begun, or was given.
        self.transport.close()

    def _watch(self) -> None:
        """Give the client its time, once for each thing that it has to do."""
        if self.conn.their_state is self._timed:
            return
        self._timed, self._untaken = self.conn.their_state, math.inf
        if self._timer is not None:
            self._timer.cancel()
        self._start()

    def _start(self) -> None:
        is_head = self.conn.their_state is h11.IDLE
        seconds = self._limits.head_seconds if is_head else self._limits.body_seconds
        self._timer = self.loop.call_later(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        untaken = self.transport.get_write_buffer_size()
        if self._does_nothing(untaken):
            self.transport.abort()
            return
        self._untaken, self._held_up = untaken or math.inf, self.flow.read_paused
        self._start()

    def _does_nothing(self, untaken: int) -> bool:
        """Whether the client took nothing of its answer, or did not send what it owes."""
        if untaken:
            return untaken >= self._untaken
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY} and not self._held_up


def _refusal(status: HTTPStatus, detail: str) -> bytes:
    request_id, body = uuid4().hex, json.dumps({"detail": detail}).encode()
    log.debug("http_not_understood", request_id=request_id, status=int(status))
    headers = {
        "Content-Type": "application/json",
        "Content-Length": len(body),
        "Connection": "close",
        REQUEST_ID: request_id,
        **SECURITY,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
