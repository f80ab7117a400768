"""How soon the end of an outage is noticed, and what noticing it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from sandbox.provider import ProviderSandbox
from services.availability.circuit_breaker import FAULTS_TO_OPEN, Aside, ModelState
from services.availability.model_states import load_states, save_states
from services.availability.reachability import EARLY_PROBES, EVERY, OutageWatch, early_probes
from services.clock import utc_now
from services.llm.client import Provider
from services.tagging.retry_policy import Policy
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.services.engine import CHAIN, Clock, Engine, running
from tests.storage.rows import add_posts, add_user

POLICY = Policy(max_retries=3, retry_delay=2, max_attempts=5, backoff_seconds=60)
SOON, CONCURRENCY = 20, 10


class TurnClock(Clock):
    """It counts how often it was read: each of the worker's turns does."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def __call__(self) -> datetime:
        self.reads += 1
        return super().__call__()

    def monotonic(self) -> float:
        return self().timestamp()


class Time:
    """Seconds that pass for the worker and the watch, in each of which all that is due is done."""

    def __init__(self, engine: Engine, watch: OutageWatch, clock: TurnClock) -> None:
        self._engine = engine
        self._watch = watch
        self.clock = clock
        self._until_look = EVERY

    async def passes(self, seconds: int, *, step: int = 1) -> None:
        for _ in range(0, seconds, step):
            self.clock.ahead += timedelta(seconds=step)
            self._until_look -= step
            if self._until_look <= 0:
                self._until_look = await self._watch.work() or EVERY
            await self._all_done()

    async def until_tagged(self, count: int) -> int:
        """The seconds until so many posts have tags."""
        for second in range(600):
            if await self._engine.count("success") == count:
                return second
            await self.passes(1)
        raise AssertionError("not in ten minutes")

    async def _all_done(self) -> None:
        for _ in range(2):
            self._engine.worker.wake()
            await self._engine.until(partial(self._is_read_since, self.clock.reads))
        await self._engine.until(self._nothing_in_work)

    async def _is_read_since(self, reads: int) -> bool:
        return self.clock.reads > reads

    async def _nothing_in_work(self) -> bool:
        async with self._engine.database.read() as session:
            leased = await session.scalar(select(func.count()).where(Post.lease_token.is_not(None)))
        return not leased and not self._engine.provider.in_flight


async def fill(database: Database, count: int, *, first: int = 1) -> None:
    async with database.write() as session:
        if first == 1:
            await add_user(session, 1)
        await add_posts(session, 1, count, first=first)


def test_a_server_that_was_silent_earns_early_probes() -> None:
    """One that answers while its models fail earns none: the pauses between its probes grow."""
    left, probes = 0, []
    for is_reached in (True, True, False, False, True, True, True, True, True, False, True):
        probes.append(bool(is_reached and left))
        left = early_probes(left, is_reached=is_reached)
    assert probes == [*[False] * 4, *[True] * EARLY_PROBES, False, False, False, True]


@asynccontextmanager
async def watched(database: Database, provider: ProviderSandbox, key: str = "key") -> AsyncIterator[Time]:
    """A worker and the watch, in a time of their own."""
    clock = TurnClock()
    async with (
        Provider(provider.url, key, 5, utc_now) as client,
        running(
            database, provider, key=key, policy=POLICY, clock=clock, monotonic=clock.monotonic, tick_seconds=3600
        ) as engine,
    ):
        yield Time(engine, OutageWatch(database, client, CHAIN, engine.worker.wake, clock), clock)


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("key", "outages"), [("key", (15, 40)), pytest.param("", (*[15] * 7, 170), marks=pytest.mark.slow)]
)
async def test_the_end_of_an_outage_is_noticed_the_seventh_time_too(
    database: Database, provider: ProviderSandbox, key: str, outages: tuple[int, ...]
) -> None:
    """All waiting posts have their tags within 20 s; no pause grows from one outage to the next."""
    provider.openrouter = bool(key)
    count = 0
    async with watched(database, provider, key) as time:
        for seconds in outages:
            time.clock.ahead += timedelta(days=1)
            provider.is_away = True
            await fill(database, 12, first=count + 1)
            count += 12
            looks = provider.looks
            await time.passes(seconds)
            assert provider.looks - looks <= seconds / EVERY + 1
            provider.is_away = False
            assert await time.until_tagged(count) <= SOON
        async with database.read() as session:
            assert {state.pauses for state in (await load_states(session)).values()} <= {0}


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_server_that_answers_while_its_models_fail_is_not_hammered(
    database: Database, provider: ProviderSandbox
) -> None:
    """For ten minutes: the faults that open the breakers, and a probe a pause that grows to five minutes."""
    for model in CHAIN:
        provider.model_fault(model, "http_503")
    await fill(database, 12)
    async with watched(database, provider) as time:
        await time.passes(600, step=10)
    # Pauses of 5, 10, 20, 40, 80, 160 and 300 s, each 20 % shorter at most.
    assert len(provider.requests) <= len(CHAIN) * (FAULTS_TO_OPEN + CONCURRENCY - 1) + 8
    # Two addresses each, but for looks while a probe is due.
    assert provider.looks > 600 / EVERY


@pytest.mark.parametrize("reason", [Aside.LIMITED, Aside.ACCOUNT, None])
async def test_a_limit_or_the_account_is_no_outage(
    database: Database, provider: ProviderSandbox, reason: Aside | None
) -> None:
    """Nor is it one while models may be asked: nobody asks."""
    now = utc_now()
    async with database.write() as session:
        if reason is not None:
            until = now + timedelta(minutes=5)
            await save_states(session, [ModelState(model, until, reason, "because", now) for model in CHAIN])
    async with Provider(provider.url, "key", 5, utc_now) as client:
        watch = OutageWatch(database, client, CHAIN, lambda: None, utc_now)
        for _ in range(3):
            assert await watch.work() == EVERY
    assert provider.looks == 0


async def test_a_hanging_probe_delays_no_other(database: Database, provider: ProviderSandbox) -> None:
    """It was sent while the server was silent, and may hang for a minute: the end of the outage does not wait."""
    now, woken = utc_now(), []
    until = now + timedelta(minutes=5)
    states = [ModelState(m, until, Aside.DOWN, "because", now, 3, 7) for m in CHAIN[1:]]
    hanging = ModelState(CHAIN[0], now, Aside.DOWN, "because", now, 3, 7, probe_until=now + timedelta(minutes=1))
    async with database.write() as session:
        await save_states(session, [hanging, *states])
    async with Provider(provider.url, "key", 5, utc_now) as client:
        watch = OutageWatch(database, client, CHAIN, lambda: woken.append(1), utc_now)
        provider.is_away = True
        await watch.work()
        assert not woken
        provider.is_away = False
        await watch.work()
    assert woken
    async with database.read() as session:
        found = await load_states(session)
    assert all(state.is_half_open(utc_now()) and not state.is_probed(utc_now()) for state in found.values())
