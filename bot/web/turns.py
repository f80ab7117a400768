"""Turns of requests: few are at work at once, and few send a body meanwhile, who keep nobody from work.

Who sends a body is known by then (the handlers read it only when they know the caller), and waits for its own others.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

#: Requests that are at work in the database: the pool's ten connections are the bot's, too.
SLOTS = 3
#: Bodies that are being sent, or are at work: of all together, since they are in memory, and of one caller.
BODIES, BODIES_OF_ONE = 4, 2


class BusyError(HTTPException):
    """A turn would come too late."""

    def __init__(self) -> None:
        super().__init__(503, "Other requests are at work: try again in a moment", {"Retry-After": "5"})


class Turns:
    """Of all requests."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._slots = asyncio.Semaphore(SLOTS)
        self._bodies = asyncio.Semaphore(BODIES)
        # Each as long as a request of that caller has or awaits a turn.
        self._callers: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def slot(self, held: ExitStack) -> None:
        """Wait for a turn at work, which ends with `held`; BusyError."""
        await self._take(self._slots, held)

    async def body(self, caller: str, held: ExitStack) -> None:
        """Wait for a turn to send a body; likewise."""
        own = self._callers.setdefault(caller, asyncio.Semaphore(BODIES_OF_ONE))
        await self._take(own, held)
        await self._take(self._bodies, held)

    async def _take(self, turns: asyncio.Semaphore, held: ExitStack) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await turns.acquire()
        except TimeoutError:
            raise BusyError from None
        held.callback(turns.release)


class Turn:
    """One request's: in a slot from `begin` to `end`, but for the time in which its body comes."""

    def __init__(self, turns: Turns, scope: Scope, receive: Receive, address: str) -> None:
        headers = Headers(scope=scope)
        self._turns = turns
        self._receive = receive
        self._caller = headers.get("authorization", address)
        #: Whether the client has not sent all, and whether it is waited for.
        self._owes = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._is_awaited = False
        self._is_over = False
        self._slot, self._body = ExitStack(), ExitStack()

    async def begin(self) -> None:
        """Wait for a slot; BusyError."""
        await self._turns.slot(self._slot)

    def end(self) -> None:
        """Others come in."""
        self._is_over = True
        self._slot.close()
        self._body.close()

    async def receive(self) -> Message:
        """What the client sends; BusyError."""
        if not self._owes or self._is_over:
            return await self._receive()
        if not self._is_awaited:
            self._is_awaited = True
            self._slot.close()
            await self._turns.body(self._caller, self._body)
        message = await self._receive()
        if not message.get("more_body"):
            self._owes = False
            if message["type"] == "http.request":
                await self._turns.slot(self._slot)
        return message
