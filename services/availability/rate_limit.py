"""Requests a minute. All processes on an account share them: the database keeps when the next request may start.

A limit's *scope* is what it counts: requests to free models, to one model, or all requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.model_names import is_free
from storage.queue import limits

#: OpenRouter's limit on free models (https://openrouter.ai/docs/api/reference/limits).
FREE_REQUESTS_PER_MINUTE = 20
FREE_SCOPE, ALL_SCOPE = "free", "all"
#: A little slower than allowed: the provider counts arrivals, which the network shifts.
SLACK = 1.02
BELIEVED_FOR = timedelta(days=1)
#: Slots further ahead are not told to posts: the clock may have been set, or the limit learnt anew.
LONGEST_PROMISE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LimitState:
    """A scope's next slot, its learnt limit, and the day's use."""

    next_at: datetime | None = None
    per_minute: int | None = None
    learnt_at: datetime | None = None
    day: str | None = None
    day_used: int = 0
    day_limit: int | None = None
    day_limit_stated: bool = False


LimitStates = Mapping[str, LimitState]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """TAGGING_REQUESTS_PER_MINUTE: None for `auto`, 0 for no pacing, else the number."""

    per_minute: int | None

    def scope(self, model: str) -> str:
        if self.per_minute:
            return ALL_SCOPE
        return FREE_SCOPE if is_free(model) else model

    def interval(self, scope: str, state: LimitState, now: datetime) -> timedelta | None:
        """The time between two requests of a scope; None: they are not paced."""
        if self.per_minute is not None:
            rate = self.per_minute
        elif state.per_minute and state.learnt_at and now - state.learnt_at < BELIEVED_FOR:
            rate = state.per_minute
        else:
            rate = FREE_REQUESTS_PER_MINUTE if scope == FREE_SCOPE else 0
        return timedelta(seconds=60.0 / rate * SLACK) if rate > 0 else None

    def wait(self, scope: str, state: LimitState, now: datetime) -> float:
        interval = self.interval(scope, state, now)
        if interval is None or state.next_at is None:
            return 0.0
        ahead = state.next_at - now
        # No process books more than one interval ahead: beyond that the clock was set back meanwhile.
        return 0.0 if ahead > interval * 1.5 else max(0.0, ahead.total_seconds())


class SharedRateLimits:
    def __init__(self, rate_limit: RateLimit, chain: Sequence[str]) -> None:
        self._rate_limit = rate_limit
        self._own = set(map(rate_limit.scope, chain))
        self._limits_nothing = rate_limit.per_minute == 0 and not any(map(is_free, chain))
        self._wanted = sorted(self._own | {FREE_SCOPE})
        self._promised: dict[str, datetime] = {}

    async def load(self, session: AsyncSession) -> LimitStates:
        """The states of all scopes, whose missing rows are inserted; nothing is read without pacing and free models."""
        if self._limits_nothing:
            return dict.fromkeys(self._wanted, LimitState())
        rows = await limits.load(session)
        if not rows.keys() >= set(self._wanted):
            await limits.ensure(session, self._wanted)
            rows = await limits.load(session)
        return {scope: limit_state(rows[scope]) for scope in self._wanted}

    def are_paced(self, states: LimitStates, now: datetime) -> bool:
        """Whether any scope is paced: then one request a turn starts, since it may go to any model of the chain."""
        return any(self._rate_limit.interval(scope, states[scope], now) for scope in self._own)

    def wait(self, model: str, states: LimitStates, now: datetime) -> float:
        scope = self._rate_limit.scope(model)
        return self._rate_limit.wait(scope, states[scope], now)

    async def take_slot(self, session: AsyncSession, model: str, states: LimitStates, now: datetime) -> bool:
        """Book the next request to a model; False when another process was quicker."""
        scope = self._rate_limit.scope(model)
        interval = self._rate_limit.interval(scope, states[scope], now)
        return interval is None or await limits.take_slot(session, scope, now, interval)

    def promise_slot(self, model: str, states: LimitStates, now: datetime) -> datetime:
        """When a request that has to wait may get a slot: each is told a time of its own."""
        scope = self._rate_limit.scope(model)
        interval = self._rate_limit.interval(scope, states[scope], now) or timedelta(seconds=1)
        free = max(states[scope].next_at or now, now)
        slot = max(free, self._promised.get(scope, free) + interval)
        if slot - now > LONGEST_PROMISE:
            slot = free
        self._promised[scope] = slot
        return slot


def limit_state(row: Row[Any] | None) -> LimitState:
    if row is None:
        return LimitState()
    learnt = (row.next_at, row.per_minute, row.learnt_at, row.day, row.day_used, row.day_limit)
    return LimitState(*learnt, day_limit_stated=bool(row.day_limit_stated))
