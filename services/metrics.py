"""The state of the whole installation for /metrics, from the database that all processes share."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, ModelState
from services.availability.model_choice import pause_reason
from services.availability.model_names import is_free
from services.availability.model_states import load_states
from services.availability.provider_status import Quota, free_quota
from services.availability.rate_limit import FREE_SCOPE, limit_state
from services.clock import Clock
from storage import outbox
from storage.db.engine import Database
from storage.queue import limits
from storage.reads import metrics, overview

#: A snapshot is served for this time.
KEEP_SECONDS = 10.0
#: A request waits at most this long; Prometheus gives up after 10 s.
WITHIN_SECONDS = 5.0
OTHER = "other"


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """`aside`: why the model is not asked now; `half_open`: it gets only a probe."""

    model: str
    aside: Aside | None
    half_open: bool
    faults: int


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """`oldest_due`: status → age in seconds, 0 if none is due."""

    posts: Mapping[str, int]
    due: Mapping[str, int]
    oldest_due: Mapping[str, float]
    leased: int
    outbox_waiting: int
    tagging_enabled: bool
    models: tuple[ModelMetrics, ...]
    paused: Aside | None
    pause_ends: datetime | None
    quota: Quota | None


class MetricsReader:
    """Queries at most once in KEEP_SECONDS; concurrent requests share one query, and its failure."""

    def __init__(
        self,
        database: Database,
        chain: Sequence[str],
        *,
        enabled: bool,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        within_seconds: float = WITHIN_SECONDS,
    ) -> None:
        self._database = database
        self._chain = tuple(chain)
        self._enabled = enabled
        self._clock = clock
        self._monotonic = monotonic
        self._within = within_seconds
        self._query: asyncio.Task[MetricsSnapshot] | None = None
        self._keep_until = 0.0

    async def read(self) -> MetricsSnapshot:
        """A recent snapshot. Raises TimeoutError after WITHIN_SECONDS, and the errors of the database.

        The query goes on after a timeout, and the next request joins it.
        """
        if self._query is None or (self._query.done() and self._monotonic() >= self._keep_until):
            self._query = asyncio.create_task(self._take())
            self._query.add_done_callback(_retrieve)
        query = self._query
        await asyncio.wait({query}, timeout=self._within)
        if not query.done():
            raise TimeoutError("the database takes too long")
        return query.result()

    async def close(self) -> None:
        if self._query is not None:
            self._query.cancel()
            await asyncio.wait({self._query})

    async def _take(self) -> MetricsSnapshot:
        try:
            async with self._database.read() as session:
                return await self._read(session)
        finally:
            self._keep_until = self._monotonic() + KEEP_SECONDS

    async def _read(self, session: AsyncSession) -> MetricsSnapshot:
        now = self._clock()
        counts = await overview.count_by_status(session, None)
        queue = await metrics.look_at_queue(session, now)
        states = await load_states(session) if self._enabled else {}
        rows = await limits.load(session)
        free = limit_state(rows.get(FREE_SCOPE))
        paused = pause_reason(self._chain, states, now)
        return MetricsSnapshot(
            posts=_by_status(counts),
            due=queue.due,
            oldest_due={status: _age(since, now) for status, since in queue.oldest_due.items()},
            leased=queue.leased,
            outbox_waiting=await outbox.count_waiting(session, now),
            tagging_enabled=self._enabled,
            models=tuple(_model(model, states.get(model), now) for model in self._chain),
            paused=paused,
            pause_ends=None if paused is None else _first_end(self._chain, states),
            quota=free_quota(free, now) if any(map(is_free, self._chain)) else None,
        )


def _retrieve(query: asyncio.Task[MetricsSnapshot]) -> None:
    """Mark the exception as seen: asyncio logs unseen ones."""
    if not query.cancelled():
        query.exception()


def _by_status(counts: Mapping[str | None, int]) -> dict[str, int]:
    known = overview.by_status(counts)
    return known | {OTHER: sum(counts.values()) - sum(known.values())}


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _model(model: str, state: ModelState | None, now: datetime) -> ModelMetrics:
    if state is None:
        return ModelMetrics(model, None, half_open=False, faults=0)
    aside = state.reason if state.is_aside(now) else None
    return ModelMetrics(model, aside, half_open=state.is_half_open(now), faults=state.faults)


def _first_end(chain: Sequence[str], states: Mapping[str, ModelState]) -> datetime | None:
    known = (states[model].until for model in chain if model in states)
    return min((until for until in known if until is not None), default=None)
