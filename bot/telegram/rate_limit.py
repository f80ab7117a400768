"""How fast the bot writes unasked: Telegram takes 30 messages in any second, and one a second to a chat.

When Telegram counts a message is not known: at some time between its leaving and its answer, and in a bunch with others
if the network, Telegram or this process was held up. So it is held from the one until a second after the other: no
second of Telegram's then has more messages than were held at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECOND = 1.0
#: One of Telegram's thirty is left for an answer to a person: these wait for nothing.
AT_ONCE = 29
#: A chat in which the bot answers all the time is written to unasked after so long nevertheless.
PATIENCE_SECONDS = 5.0
#: They go evenly, with so much between two; those that were held up follow together, by so much in all.
SPACING_SECONDS, CATCH_UP_SECONDS = 1 / 40, 0.2


class Window:
    """The messages that may be counted in the second that is now."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = 0
        self._answered: deque[float] = deque()

    def delay(self, now: float) -> float:
        """How long there is no room for one more, at the least; 0: there is."""
        self._forget(now)
        excess = self._under_way + len(self._answered) - self._most
        if excess < 0:
            return 0.0
        # What is under way is held for another second at the least.
        return self._answered[excess] + SECOND - now if excess < len(self._answered) else SECOND

    def leaves(self) -> None:
        """A message is on its way."""
        self._under_way += 1

    def is_answered(self, now: float) -> None:
        """The answer to one has come."""
        self._under_way -= 1
        self._answered.append(now)
        self._forget(now)

    def is_empty(self, now: float) -> bool:
        """Whether there are none."""
        self._forget(now)
        return not self._under_way and not self._answered

    def _forget(self, now: float) -> None:
        while self._answered and self._answered[0] + SECOND <= now:
            self._answered.popleft()


class Pace:
    """Holds all messages of a bot, and gives out turns to those that nobody waits for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._line = asyncio.Lock()
        self._all = Window(AT_ONCE)
        # Those of chats that were not written to for a second are dropped.
        self._chats: defaultdict[int | str, Window] = defaultdict(lambda: Window(1))
        self._swept = self._next = clock()

    async def turn(self, chat_id: int | None) -> None:
        """Wait until a message may go to a chat (None: any, which only the total limits). It has to leave at once."""
        patient_until = self._clock() + PATIENCE_SECONDS

        def chat_delay() -> float:
            return min(self.chat_delay(chat_id), max(patient_until - self._clock(), 0.0))

        while True:
            await _until_none(chat_delay)
            async with self._line:
                await _until_none(self.delay)
                if not chat_delay():
                    return

    def delay(self) -> float:
        """How long no message may go to any chat."""
        now = self._clock()
        return max(self._all.delay(now), self._next - now, 0.0)

    def chat_delay(self, chat_id: int | None) -> float:
        """How long none may go to this one, whatever goes to others."""
        if chat_id is None or chat_id not in self._chats:
            return 0.0
        return self._chats[chat_id].delay(self._clock())

    @contextmanager
    def message(self, chat_id: int | str) -> Iterator[None]:
        """Around a message, with a turn or without, from its leaving until its answer has come (or none will)."""
        windows = (self._all, self._chats[chat_id])
        now = self._clock()
        # What goes without a turn is held by the window; it puts the others off no further than by one place.
        self._next = min(max(self._next, now - CATCH_UP_SECONDS), now) + SPACING_SECONDS
        for window in windows:
            window.leaves()
        try:
            yield
        finally:
            now = self._clock()
            for window in windows:
                window.is_answered(now)
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        if now - self._swept >= SECOND:
            self._swept = now
            for chat_id in [chat_id for chat_id, window in self._chats.items() if window.is_empty(now)]:
                del self._chats[chat_id]


async def _until_none(delay: Callable[[], float]) -> None:
    while (seconds := delay()) > 0:  # noqa: ASYNC110 - what is waited for is a time
        await asyncio.sleep(seconds)
