"""How fast the bot writes unasked: just below Telegram's 30 messages in any second, and one a second to a chat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

ALL_SECONDS = 1 / 28.5
CHAT_SECONDS = 1.0
#: A message that was late lets the next ones follow sooner, by so much in all: 29.6 in a second at most.
CATCH_UP_SECONDS = 0.04


class Pace:
    """Gives out turns; a turn is a time at which a message may go."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._line = asyncio.Lock()
        self._next = 0.0
        # Chat → when it may be written to again. Those of whom that time has come are dropped.
        self._chats: dict[int, float] = {}
        self._swept = clock()

    async def turn(self, chat_id: int | None) -> None:
        """Wait for the next turn for a chat (None: any, which only the total limits)."""
        if chat_id is not None:
            await asyncio.sleep(self.chat_delay(chat_id))
        async with self._line:
            await asyncio.sleep(self._next - self._clock())
            self.gone()

    def chat_delay(self, chat_id: int) -> float:
        """Take a chat's next second; how long until it begins."""
        now = self._clock()
        if now - self._swept > CHAT_SECONDS:
            self._chats = {chat: at for chat, at in self._chats.items() if at > now}
            self._swept = now
        at = max(now, self._chats.get(chat_id, 0.0))
        self._chats[chat_id] = at + CHAT_SECONDS
        return at - now

    def gone(self) -> float:
        """A message goes now; returns how long until the next may."""
        now = self._clock()
        # By when it went, not by when it should have: the loop may have been busy.
        self._next = max(self._next, now - CATCH_UP_SECONDS) + ALL_SECONDS
        return self._next - now
