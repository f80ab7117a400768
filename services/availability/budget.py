"""PURE: how many requests the account allows: lanes and their pace, the day's quota, and the share of retries."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.availability.circuit_breaker import is_free
from services.clock import day_ends, utc_day

#: OpenRouter's limit on free models (https://openrouter.ai/docs/api/reference/limits).
FREE_REQUESTS_PER_MINUTE = 20
#: Its quota on them a day without bought credits, and with.
FREE_REQUESTS_PER_DAY, PAID_REQUESTS_PER_DAY = 50, 1000
FREE_LANE, ONE_LANE = "free", "all"
#: A little slower than allowed: the provider counts arrivals, which the network shifts.
SLACK = 1.02
#: What a provider once said of its limit is believed so long.
BELIEVED_FOR = timedelta(days=1)

#: Retries after faults of the upstream: at most this share of a minute's requests …
RETRY_SHARE = 0.2
#: … but so many a minute in any case, or a quiet bot could never retry.
FREE_RETRIES = 30
RETRY_WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class LaneState:
    """What is known of a lane: when its next paced request may start, its learnt limit, and the day's use."""

    next_at: datetime | None = None
    per_minute: int | None = None
    learnt_at: datetime | None = None
    day: str | None = None
    day_used: int = 0
    day_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """TAGGING_REQUESTS_PER_MINUTE: None for `auto`, 0 for no pacing of ours, or exactly so many."""

    per_minute: int | None

    def lane(self, model: str) -> str:
        """The lane whose limit counts a request to the model."""
        if self.per_minute:
            return ONE_LANE
        return FREE_LANE if is_free(model) else model

    def interval(self, lane: str, state: LaneState, now: datetime) -> timedelta | None:
        """The time between two requests of a lane; None: they are not paced."""
        if self.per_minute is not None:
            rate = self.per_minute
        elif state.per_minute and state.learnt_at and now - state.learnt_at < BELIEVED_FOR:
            rate = state.per_minute
        else:
            rate = FREE_REQUESTS_PER_MINUTE if lane == FREE_LANE else 0
        return timedelta(seconds=60.0 / rate * SLACK) if rate > 0 else None

    def wait(self, lane: str, state: LaneState, now: datetime) -> float:
        """Seconds until the lane's next request may start; 0: now."""
        interval = self.interval(lane, state, now)
        if interval is None or state.next_at is None:
            return 0.0
        ahead = state.next_at - now
        # Nobody ever books more than one interval ahead: beyond that the clock was set back meanwhile.
        return 0.0 if ahead > interval * 1.5 else max(0.0, ahead.total_seconds())


def remaining_today(state: LaneState, now: datetime) -> int | None:
    """Requests left of the day's quota; None when the quota is not known, or more were made than it allows."""
    if state.day_limit is None:
        return None
    used = state.day_used if state.day == utc_day(now) else 0
    return state.day_limit - used if used <= state.day_limit else None


def backlog_through(requests: int, state: LaneState, interval: timedelta | None, now: datetime) -> datetime | None:
    """When so many requests will have been made under the day's quota and the pace; None: no limit that is known."""
    remaining = remaining_today(state, now)
    pace = interval or timedelta(0)
    if remaining is None or requests <= remaining:
        return now + pace * requests if interval else None
    days, last = divmod(requests - remaining - 1, max(1, state.day_limit or 1))
    return day_ends(now) + timedelta(days=days) + pace * (last + 1)


class RetryBudget:
    """Keeps retries after faults of the upstream to a share of one process's requests, so that a sick one is
    not hammered (https://sre.google/sre-book/addressing-cascading-failures/). Times are monotonic seconds."""

    def __init__(self) -> None:
        self._requests: deque[tuple[float, bool]] = deque()
        self._retries = 0

    def started(self, now: float, *, is_retry: bool) -> None:
        """A request starts."""
        self._requests.append((now, is_retry))
        self._retries += is_retry

    def left(self, now: float) -> int:
        """How many retries may start now."""
        self._forget(now)
        # r retries among n requests: one more is within the share while r + 1 <= share · (n + 1), and so on.
        shared = (RETRY_SHARE * len(self._requests) - self._retries) / (1 - RETRY_SHARE)
        return max(0, int(shared), FREE_RETRIES - self._retries)

    def wait(self, now: float) -> float:
        """Seconds until a retry may start if no other request comes before."""
        if self.left(now) > 0:
            return 0.0
        oldest = next((at for at, is_retry in self._requests if is_retry), now)
        return max(0.05, oldest + RETRY_WINDOW - now)

    def _forget(self, now: float) -> None:
        while self._requests and self._requests[0][0] <= now - RETRY_WINDOW:
            self._retries -= self._requests.popleft()[1]
