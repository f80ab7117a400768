"""How much the HTTP server takes on, so that nobody can keep the bot from its work through it.

Callers are held to a rate, and to a few at a time. Who is faster waits for a turn, which costs nothing; only who
would wait long is refused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Callable

from aiolimiter import AsyncLimiter
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.web.turns import BusyError, Turn, Turns

#: Requests a second from one address, and how many of them may come at once.
RATE, BURST = 20.0, 20
PATIENCE_SECONDS = 4.0
#: Whoever watches the process is answered late rather than not: sooner than they give up.
HEALTH_PATIENCE_SECONDS = 2.0
HEALTH = frozenset({"/healthz", "/readyz"})
ADDRESSES_KEPT = 1000
LONGEST_QUERY, LONGEST_PATH = 4096, 1024
#: Of any request in bytes; where posts are handed in, a thousand of Telegram's longest fit, however they are encoded.
LARGEST_BODY, LARGEST_POSTS = 1024 * 1024, 32 * 1024 * 1024
_POSTS_PATH = re.compile(r"/users/[0-9]+/posts")


class Admission:
    """Before the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        rate: float = RATE,
        lets_in: Callable[[Scope], bool] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        health_patience_seconds: float = HEALTH_PATIENCE_SECONDS,
    ) -> None:
        """`lets_in`: whose requests need not wait; the others wait so long at most."""
        self._app = app
        self._rate = rate
        self._lets_in = lets_in
        self._patience = patience_seconds
        self._health_patience = health_patience_seconds
        # Oldest use first.
        self._limiters: OrderedDict[str, AsyncLimiter] = OrderedDict()
        self._turns = Turns(patience_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request over HTTP; other kinds are refused."""
        if scope["type"] != "http":
            return
        if self._lets_in is not None and self._lets_in(scope):
            await (_too_large(scope) or self._app)(scope, receive, send)
        elif scope["path"] in HEALTH:
            await self._turn(f"{_address(scope)} health", self._health_patience)
            await self._app(scope, receive, send)
        elif not await self._turn(_address(scope), self._patience):
            detail = f"More than {self._rate:.0f} requests a second: slow down"
            await JSONResponse({"detail": detail}, 429, {"Retry-After": "1"})(scope, receive, send)
        else:
            await (_too_large(scope) or self._in_a_slot)(scope, receive, send)

    async def _turn(self, key: str, seconds: float) -> bool:
        """Wait until the address may ask again; False when that takes too long."""
        try:
            async with asyncio.timeout(seconds):
                await self._limiter(key).acquire()
        except TimeoutError:
            return False
        return True

    async def _in_a_slot(self, scope: Scope, receive: Receive, send: Send) -> None:
        turn = Turn(self._turns, scope, receive, _address(scope))

        async def send_and_end(message: Message) -> None:
            # All that it needs is read by now: who takes the answer slowly keeps nobody else waiting.
            turn.end()
            await send(message)

        try:
            await turn.begin()
        except BusyError as busy:
            await JSONResponse({"detail": busy.detail}, busy.status_code, busy.headers)(scope, receive, send)
            return
        try:
            await self._app(scope, turn.receive, send_and_end)
        finally:
            turn.end()

    def _limiter(self, key: str) -> AsyncLimiter:
        limiter = self._limiters.get(key)
        if limiter is None:
            limiter = self._limiters[key] = AsyncLimiter(BURST, BURST / self._rate)
            if len(self._limiters) > ADDRESSES_KEPT:
                self._limiters.popitem(last=False)
        self._limiters.move_to_end(key)
        return limiter


def _address(scope: Scope) -> str:
    """Whom the rate holds for: over IPv6 a whole network of one customer's, who has 2⁶⁴ addresses in it."""
    client = scope["client"][0] if scope["client"] else ""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 4 or address.ipv4_mapped:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False))


def _too_large(scope: Scope) -> JSONResponse | None:
    if len(scope["query_string"]) > LONGEST_QUERY or len(scope["path"]) > LONGEST_PATH:
        return JSONResponse({"detail": "The address is too long"}, 414)
    announced = Headers(scope=scope).get("content-length", "0")
    largest = LARGEST_POSTS if _POSTS_PATH.fullmatch(scope["path"]) else LARGEST_BODY
    if announced.isdecimal() and int(announced) > largest:
        return JSONResponse({"detail": "The body is too large"}, 413)
    return None
