"""How fast the bot writes unasked: 25 messages a second in all, one a second to a chat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

ALL_SECONDS = 1 / 25
CHAT_SECONDS = 1.0


class Pace:
    """Gives out turns; a turn is a time at which a message may go."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = 0.0
        self._chats: dict[int, float] = {}

    def delay(self, chat_id: int | None) -> float:
        """Take the next turn for a chat (None: any, which only the total limits); how long until it comes."""
        now = self._clock()
        self._chats = {chat: at for chat, at in self._chats.items() if at > now}
        at = max(now, self._next, self._chats.get(chat_id, 0.0) if chat_id is not None else 0.0)
        self._next = max(now, self._next) + ALL_SECONDS
        if chat_id is not None:
            self._chats[chat_id] = at + CHAT_SECONDS
        return at - now

    async def turn(self, chat_id: int | None) -> None:
        """Wait for the turn."""
        await asyncio.sleep(self.delay(chat_id))
