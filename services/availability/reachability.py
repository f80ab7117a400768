"""Notices the end of an outage sooner than the next probe would."""

from collections.abc import Callable, Sequence

import structlog

from services.availability.circuit_breaker import Aside
from services.availability.model_choice import next_probe_at, pause_reason
from services.availability.model_states import load_states
from services.background_task import BackgroundTask
from services.clock import Clock
from services.llm.client import Provider
from storage.db.engine import Database
from storage.queue import model_states as model_rows
from storage.queue import provider_waits

log = structlog.get_logger(__name__)

EVERY = 10.0
#: A server that answers again may need a moment until its models do.
EARLY_PROBES = 3


def early_probes(left: int, *, is_reached: bool) -> int:
    """PURE: how many probes may go ahead of their time, after an ask that was answered or not.

    Only a server that was silent earns them: one that answers all along while its models fail would be hammered.
    """
    return max(0, left - 1) if is_reached else EARLY_PROBES


class OutageWatch(BackgroundTask):
    """While all models are down, asks each EVERY seconds whether the server answers; once it does, a probe goes out.

    Only the leader asks. Rate limits and account faults are no outages.
    """

    def __init__(
        self, database: Database, provider: Provider, chain: Sequence[str], wake: Callable[[], None], clock: Clock
    ) -> None:
        """`wake` reaches the worker of this process, which sends the probe."""
        super().__init__()
        self._database = database
        self._provider = provider
        self._chain = tuple(chain)
        self._wake = wake
        self._clock = clock
        self._left = 0

    async def work(self) -> float:
        now = self._clock()
        async with self._database.read() as session:
            states = await load_states(session)
        if pause_reason(self._chain, states, now) is not Aside.DOWN:
            self._left = 0
        # A model whose pause is over is probed without us.
        elif next_probe_at(self._chain, states, now) != now:
            await self._ask()
        return EVERY

    async def _ask(self) -> None:
        before = self._left
        is_reached = await self._provider.is_reached()
        self._left = early_probes(before, is_reached=is_reached)
        if is_reached and before:
            log.info("provider_reached", probes_left=self._left)
            await self._probe()

    async def _probe(self) -> None:
        async with self._database.write() as session:
            await model_rows.lock(session)
            await model_rows.probe_down(session, self._chain, self._clock())
            await provider_waits.provider_is_back(session)
        self._wake()
