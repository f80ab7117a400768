"""Telegram's flood control."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.telegram.errors import too_many


@dataclass(frozen=True)
class FloodLimits:
    """(messages, seconds) for a private chat or channel, for a group, and for all chats."""

    per_chat: tuple[int, float] = (20, 20.0)
    per_group: tuple[int, float] = (20, 60.0)
    overall: tuple[int, float] = (30, 1.0)


class FloodControl:
    """Sliding windows; a refused message is not counted."""

    def __init__(self, limits: FloodLimits | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._sent: defaultdict[int | None, deque[float]] = defaultdict(deque)

    def check(self, chat_id: int, *, group: bool) -> None:
        """Count a message, or raise the 429."""
        if self.limits is None:
            return
        now = self._clock()
        windows = (
            (self._sent[chat_id], self.limits.per_group if group else self.limits.per_chat),
            (self._sent[None], self.limits.overall),
        )
        wait = max(_wait(sent, limit, now) for sent, limit in windows)
        if wait > 0:
            raise too_many(max(1, math.ceil(wait)))
        for sent, _ in windows:
            sent.append(now)


def _wait(sent: deque[float], limit: tuple[int, float], now: float) -> float:
    most, seconds = limit
    while sent and sent[0] <= now - seconds:
        sent.popleft()
    return sent[0] + seconds - now if len(sent) >= most else 0.0
