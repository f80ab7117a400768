"""How much the HTTP server takes on, so that nobody can keep the bot from its work through it.

Callers are held to a rate. Who is faster waits for a turn, which costs nothing; only who would wait long is refused.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection

from aiolimiter import AsyncLimiter
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

#: Requests a second from one address, and how many of them may come at once.
RATE, BURST = 20.0, 20
PATIENCE_SECONDS = 4.0
ADDRESSES_KEPT = 1000
LONGEST_QUERY, LONGEST_PATH = 4096, 1024
#: Of any request in bytes; who reads a body may allow less.
LARGEST_BODY = 1024 * 1024


class Admission:
    """Before the application. `lets_in`: whose requests need not wait; `unrefused`: paths where one only waits."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        rate: float = RATE,
        lets_in: Callable[[Scope], bool] | None = None,
        unrefused: Collection[str] = (),
    ) -> None:
        self._app = app
        self._rate = rate
        self._lets_in = lets_in
        self._unrefused = frozenset(unrefused)
        # Oldest use first.
        self._limiters: OrderedDict[str, AsyncLimiter] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request over HTTP; other kinds are passed on."""
        refusal = await self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> JSONResponse | None:
        path = scope["path"]
        if refused := _too_large(scope):
            return refused
        if self._lets_in is not None and self._lets_in(scope):
            return None
        address = scope["client"][0] if scope["client"] else ""
        if path in self._unrefused:
            await self._limiter(f"{address} unrefused").acquire()
            return None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._limiter(address).acquire()
        except TimeoutError:
            detail = f"More than {self._rate:.0f} requests a second: slow down"
            return JSONResponse({"detail": detail}, 429, {"Retry-After": "1"})
        return None

    def _limiter(self, key: str) -> AsyncLimiter:
        limiter = self._limiters.get(key)
        if limiter is None:
            limiter = self._limiters[key] = AsyncLimiter(BURST, BURST / self._rate)
            if len(self._limiters) > ADDRESSES_KEPT:
                self._limiters.popitem(last=False)
        self._limiters.move_to_end(key)
        return limiter


def _too_large(scope: Scope) -> JSONResponse | None:
    if len(scope["query_string"]) > LONGEST_QUERY or len(scope["path"]) > LONGEST_PATH:
        return JSONResponse({"detail": "The address is too long"}, 414)
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isdecimal() and int(announced) > LARGEST_BODY:
        return JSONResponse({"detail": "The body is too large"}, 413)
    return None
