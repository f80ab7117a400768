"""The state of the whole installation, as /metrics shows it: read from the database, which all processes share."""

from __future__ import annotations

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

#: A reading is shown for so long, however often somebody asks …
KEEP_SECONDS = 10.0
#: … and for so many times as long as it took: a backlog of a million posts takes a second.
KEEP_TIMES = 20.0
#: Whoever asks waits no longer than this; Prometheus itself gives up after 10 s.
WITHIN_SECONDS = 5.0
#: Posts of a status that another program made up.
OTHER = "other"


@dataclass(frozen=True, slots=True)
class ModelGauge:
    """A model of the chain. `aside`: why it is not asked now; `half_open`: only a probe may go to it."""

    model: str
    aside: Aside | None
    half_open: bool
    faults: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The installation at one moment. `oldest_due`: status → seconds, 0 when none is due."""

    posts: Mapping[str, int]
    due: Mapping[str, int]
    oldest_due: Mapping[str, float]
    leased: int
    outbox_waiting: int
    tagging_enabled: bool
    models: tuple[ModelGauge, ...]
    paused: Aside | None
    pause_ends: datetime | None
    quota: Quota | None


class Gauges:
    """Reads at most every 10 s and for all who ask at the same time once, failures included."""

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
        """`enabled`: whether this installation tags at all."""
        self._database = database
        self._chain = tuple(chain)
        self._enabled = enabled
        self._clock = clock
        self._monotonic = monotonic
        self._within = within_seconds
        self._look: asyncio.Task[Reading] | None = None
        self._keep_until = 0.0

    async def read(self) -> Reading:
        """The installation as it was a short while ago.

        Raises what the database raises, and TimeoutError when it takes too long; the look goes on then, and the
        next caller joins it: a database that hangs is asked once.
        """
        if self._look is None or (self._look.done() and self._monotonic() >= self._keep_until):
            self._look = asyncio.create_task(self._take())
            self._look.add_done_callback(_retrieve)
        look = self._look
        await asyncio.wait({look}, timeout=self._within)
        if not look.done():
            raise TimeoutError("the database takes too long")
        return look.result()

    async def close(self) -> None:
        """Break off a look that is under way: the database is about to be closed."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.wait({self._look})

    async def _take(self) -> Reading:
        began, longest = self._monotonic(), 0.0
        try:
            async with self._database.read() as session:
                reading = await self._read(session)
            # Not of a failure: a database that was away for long is to be seen as soon as it is back.
            longest = KEEP_TIMES * (self._monotonic() - began)
            return reading
        finally:
            self._keep_until = self._monotonic() + max(KEEP_SECONDS, longest)

    async def _read(self, session: AsyncSession) -> Reading:
        now = self._clock()
        counts = await overview.count_by_status(session, None)
        queue = await metrics.look_at_queue(session, now)
        states = await load_states(session) if self._enabled else {}
        rows = await limits.load(session)
        free = limit_state(rows.get(FREE_SCOPE))
        paused = pause_reason(self._chain, states, now)
        return Reading(
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


def _retrieve(look: asyncio.Task[Reading]) -> None:
    """So that asyncio does not complain of an error that nobody was there to see."""
    if not look.cancelled():
        look.exception()


def _by_status(counts: Mapping[str | None, int]) -> dict[str, int]:
    """All statuses, also those of no post."""
    known = overview.by_status(counts)
    return known | {OTHER: sum(counts.values()) - sum(known.values())}


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _model(model: str, state: ModelState | None, now: datetime) -> ModelGauge:
    if state is None:
        return ModelGauge(model, None, half_open=False, faults=0)
    aside = state.reason if state.is_aside(now) else None
    return ModelGauge(model, aside, half_open=state.is_half_open(now), faults=state.faults)


def _first_end(chain: Sequence[str], states: Mapping[str, ModelState]) -> datetime | None:
    known = (states[model].until for model in chain if model in states)
    return min((until for until in known if until is not None), default=None)
