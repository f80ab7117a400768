"""Whether tagging goes on, and if not, since when, why and until when, as /stats shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, ModelState
from services.availability.daily_quota import backlog_through, next_batch, remaining_today
from services.availability.model_choice import candidates, pause_reason
from services.availability.model_names import is_free
from services.availability.model_states import load_states
from services.availability.rate_limit import FREE_SCOPE, LimitState, RateLimit, limit_state
from services.clock import Clock, day_ends
from storage.db.engine import Database
from storage.queue import limits
from storage.reads import overview


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
    `next_batch_at`: until when posts wait for company at most, while the day's quota has to be spared.
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
    next_batch_at: datetime | None = None


_STATE_NAMES = {Aside.ACCOUNT: "paused", Aside.FORBIDDEN: "paused", Aside.LIMITED: "limited"}


def disabled(chain: Sequence[str]) -> ProviderState:
    return ProviderState(False, "disabled", None, None, None, tuple(chain), ())


class ProviderWatch:
    def __init__(
        self, database: Database, chain: Sequence[str], rate_limit: RateLimit, batch_size: int, clock: Clock
    ) -> None:
        self._database = database
        self._chain = tuple(chain)
        self._rate_limit = rate_limit
        self._batch_size = batch_size
        self._clock = clock

    async def state(self, *, backlog: bool) -> ProviderState:
        """`backlog`: with `through_at` and `next_batch_at`, for which the queue is counted."""
        now = self._clock()
        async with self._database.read() as session:
            states = await load_states(session)
            rows = await limits.load(session)
            free = limit_state(rows.get(FREE_SCOPE))
            waiting = await overview.count_queued(session) if backlog and is_free(self._chain[0]) else 0
            next_batch_at = await self._next_batch_at(session, states, free, now) if backlog else None
        scope = self._rate_limit.scope(self._chain[0])
        interval = self._rate_limit.interval(scope, limit_state(rows.get(scope)), now)
        return ProviderState(
            enabled=True,
            **_pause(self._chain, states, now),
            models=self._chain,
            aside=_aside(self._chain, states, now),
            quota=free_quota(free, now) if any(map(is_free, self._chain)) else None,
            through_at=backlog_through(waiting, free, interval, now) if waiting else None,
            next_batch_at=next_batch_at,
        )

    async def _next_batch_at(
        self, session: AsyncSession, states: Mapping[str, ModelState], free: LimitState, now: datetime
    ) -> datetime | None:
        model = next(iter(candidates(self._chain, states, now)), None)
        if model is None or not is_free(model):
            return None
        batch = await next_batch(session, free, self._batch_size, now)
        return now + timedelta(seconds=batch.wait) if batch is not None and batch.waiting and batch.wait else None


def _pause(chain: Sequence[str], states: Mapping[str, ModelState], now: datetime) -> dict[str, Any]:
    """`state`, `since`, `until` and `reason` of a ProviderState."""
    reason = pause_reason(chain, states, now)
    if reason is None:
        return {"state": "open", "since": None, "until": None, "reason": None}
    known = [states[model] for model in chain if model in states and states[model].until is not None]
    return {
        "state": _STATE_NAMES.get(reason, "down"),
        "since": min((state.since for state in known if state.since), default=None),
        "until": min((state.until for state in known if state.until), default=None),
        "reason": next((state.detail for state in known if state.reason is reason), None),
    }


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
