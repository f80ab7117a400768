"""Whether tagging goes on, and if not, since when, why and until when, as /stats shows it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, ModelState
from services.availability.daily_quota import backlog_through, remaining_today
from services.availability.model_choice import pause_reason
from services.availability.model_names import is_free
from services.availability.model_states import load_states
from services.availability.rate_limit import FREE_SCOPE, LimitState, RateLimit, limit_state
from services.clock import Clock, day_ends
from storage.db.engine import Database
from storage.queue import limits
from storage.reads import overview

#: A count of the queue is kept for KEEP_TIMES as long as it took (some seconds for 10,000 posts), LONGEST_KEPT seconds
#: at most.
KEEP_TIMES, LONGEST_KEPT = 1000.0, 60.0


@dataclass(frozen=True, slots=True)
class ModelAside:
    model: str
    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Quota:
    limit: int
    remaining: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderState:
    """`state`: 'open', 'paused' (the account), 'limited', 'down' or 'disabled' (no key).

    `through_at`: when the known limits let requests about the whole backlog through, if asked for.
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
    return ProviderState(False, "disabled", None, None, None, tuple(chain), ())


class ProviderWatch:
    def __init__(
        self,
        database: Database,
        chain: Sequence[str],
        rate_limit: RateLimit,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._chain = tuple(chain)
        self._rate_limit = rate_limit
        self._clock = clock
        self._monotonic = monotonic
        self._waiting = 0
        self._count_until = 0.0

    async def state(self, *, backlog: bool) -> ProviderState:
        """`backlog`: with `through_at`, for which the queue is counted."""
        now = self._clock()
        async with self._database.read() as session:
            states = await load_states(session)
            rows = await limits.load(session)
            waiting = await self._queued(session) if backlog and is_free(self._chain[0]) else 0
        free = limit_state(rows.get(FREE_SCOPE))
        scope = self._rate_limit.scope(self._chain[0])
        interval = self._rate_limit.interval(scope, limit_state(rows.get(scope)), now)
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


def free_quota(free: LimitState, now: datetime) -> Quota | None:
    remaining = remaining_today(free, now)
    return None if remaining is None else Quota(free.day_limit or 0, remaining, day_ends(now))
