"""Whether tagging goes on, and if not, since when, why and until when: what /stats shows of the provider."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.budget import FREE_LANE, LaneState, Pace, backlog_through, remaining_today
from services.availability.circuit_breaker import Aside, ModelState, is_free, pause_reason
from services.availability.model_states import load_states
from services.availability.rate_limit import lane_state
from services.clock import Clock, day_ends
from storage.db.engine import Database
from storage.queue import limits
from storage.reads import overview

#: A count of the queue serves for so many times as long as it took: of 10,000 posts some seconds. And for so many
#: seconds at most, when it took long for other reasons.
KEEP_TIMES, LONGEST_KEPT = 1000.0, 60.0


@dataclass(frozen=True, slots=True)
class ModelAside:
    """A model that is not asked for now."""

    model: str
    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Quota:
    """The day's quota of requests to free models (UTC's day)."""

    limit: int
    remaining: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Whether tagging goes on: 'open', 'paused' (the account), 'limited', 'down' or 'disabled' (no key).

    `through_at`: when everybody's backlog will have been asked about, as far as the known limits tell; where wanted.
    """

    enabled: bool
    state: str
    since: datetime | None
    until: datetime | None
    reason: str | None
    models: tuple[str, ...]
    aside: tuple[ModelAside, ...]
    quota: Quota | None = None
    through_at: datetime | None = None


_STATE_NAMES = {Aside.ACCOUNT: "paused", Aside.FORBIDDEN: "paused", Aside.LIMITED: "limited"}


def disabled(chain: Sequence[str]) -> ProviderState:
    """Without a key nobody is asked."""
    return ProviderState(False, "disabled", None, None, None, tuple(chain), ())


class ProviderWatch:
    """Looks at the state that all processes share."""

    def __init__(
        self,
        database: Database,
        chain: Sequence[str],
        pace: Pace,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._chain = tuple(chain)
        self._pace = pace
        self._clock = clock
        self._monotonic = monotonic
        self._waiting = 0
        self._count_until = 0.0

    async def state(self, *, backlog: bool) -> ProviderState:
        """As it is now; `backlog`: with `through_at`, for which the queue is counted."""
        now = self._clock()
        async with self._database.read() as session:
            states = await load_states(session)
            rows = await limits.load(session)
            waiting = await self._queued(session) if backlog and is_free(self._chain[0]) else 0
        free = lane_state(rows[FREE_LANE]) if FREE_LANE in rows else LaneState()
        lane = self._pace.lane(self._chain[0])
        interval = self._pace.interval(lane, lane_state(rows[lane]) if lane in rows else LaneState(), now)
        paused = _paused(self._chain, states, now)
        return ProviderState(
            enabled=True,
            state=paused.state,
            since=paused.since,
            until=paused.until,
            reason=paused.reason,
            models=self._chain,
            aside=_aside(self._chain, states, now),
            quota=free_quota(free, now) if any(map(is_free, self._chain)) else None,
            through_at=backlog_through(waiting, free, interval, now) if waiting else None,
        )

    async def _queued(self, session: AsyncSession) -> int:
        """How many posts of everybody's wait, or did a moment ago: the longer the queue, the longer that lasts."""
        began = self._monotonic()
        if began >= self._count_until:
            self._waiting = await overview.count_queued(session)
            counted = self._monotonic()
            self._count_until = counted + min(KEEP_TIMES * (counted - began), LONGEST_KEPT)
        return self._waiting


@dataclass(frozen=True, slots=True)
class _Paused:
    state: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None


def _paused(chain: Sequence[str], states: Mapping[str, ModelState], now: datetime) -> _Paused:
    reason = pause_reason(chain, states, now)
    if reason is None:
        return _Paused("open")
    known = [states[model] for model in chain if model in states and states[model].until is not None]
    main = next((state for state in known if state.reason is reason), None)
    return _Paused(
        state=_STATE_NAMES.get(reason, "down"),
        since=min((state.since for state in known if state.since), default=None),
        until=min((state.until for state in known if state.until), default=None),
        reason=main.detail if main else None,
    )


def _aside(chain: Sequence[str], states: Mapping[str, ModelState], now: datetime) -> tuple[ModelAside, ...]:
    known = [states[model] for model in chain if model in states]
    return tuple(
        ModelAside(state.model, state.reason.value, state.until)
        for state in known
        if state.reason is not None and state.is_aside(now)
    )


def free_quota(free: LaneState, now: datetime) -> Quota | None:
    """What is left of the day, by the lane of the free models; None when it is not known."""
    remaining = remaining_today(free, now)
    return None if remaining is None else Quota(free.day_limit or 0, remaining, day_ends(now))
