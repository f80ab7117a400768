"""Requests that are planned before a place in flight is free: how many, and what may yet happen to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from sandbox.provider import ProviderSandbox
from services.availability.budget import FREE_LANE
from services.availability.circuit_breaker import Aside, ModelState
from services.availability.model_states import save_states
from services.clock import utc_now
from services.tagging import tempo
from services.tagging import worker as product
from services.tagging.dispatcher import Dispatcher
from services.tagging.plans import Plan, Start
from services.tagging.recorder import Finished
from storage.db.engine import Database
from storage.queue import limits, retry_requests
from storage.schema.tables import Post
from tests.services.engine import CHAIN, Clock, Engine, running
from tests.services.posts import fill
from tests.storage.rows import add_posts, add_user

PLACES = 2
NEWEST = 1000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the stand-in takes on this machine."""
    monkeypatch.setattr(tempo, "AHEAD_SECONDS", 3600.0)
    monkeypatch.setattr(tempo, "QUICK_SECONDS", 3600.0)


@asynccontextmanager
async def planned(database: Database, provider: ProviderSandbox, **more: Any) -> AsyncIterator[Engine]:
    """After the first answers the provider gives no more: every place is taken, and others are ready."""
    await fill(database, 30)
    first: Iterator[bool] = iter((True,))

    def hold(_: object) -> None:
        if next(first, False):
            provider.hold()

    async with running(database, provider, concurrency=PLACES, timeout_seconds=600, on_finished=hold, **more) as engine:

        async def ready() -> bool:
            return provider.in_flight == PLACES and len(await leased(engine)) > PLACES

        try:
            await engine.until(ready)
            yield engine
        finally:
            provider.release()


async def leased(engine: Engine) -> list[Post]:
    return [post for post in await engine.posts() if post.lease_token is not None]


def follow(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's seconds are the clock's."""
    seconds = SimpleNamespace(monotonic=lambda: time.monotonic() + clock.ahead.total_seconds())
    monkeypatch.setattr(product, "time", seconds)
    monkeypatch.setattr(tempo, "time", seconds)


async def some(engine: Engine, status: str) -> bool:
    return await engine.count(status) > 0


async def is_tagged(engine: Engine, post_id: int) -> bool:
    return any(post.id == post_id and post.tagging_status == "success" for post in await engine.posts())


async def is_leased(engine: Engine, post_id: int) -> bool:
    return post_id in {post.id for post in await leased(engine)}


async def only_in_flight(engine: Engine) -> bool:
    """Whether no post is held but those that are being asked about."""
    return len(await leased(engine)) == engine.provider.in_flight == PLACES


async def test_requests_are_ready_when_a_place_becomes_free(database: Database, provider: ProviderSandbox) -> None:
    """A claim of many costs little more than one of few; each post goes out once."""
    async with planned(database, provider) as engine:
        provider.release()
        await engine.settled()
    assert len(provider.requests) == 30


async def test_a_stop_gives_back_first_what_has_not_left(database: Database, provider: ProviderSandbox) -> None:
    """Others may take it while this process waits for its last answers."""
    async with planned(database, provider) as engine:
        asked = len(provider.requests)
        engine.worker.stop()
        await engine.until(lambda: only_in_flight(engine))
    assert len(provider.requests) == asked
    assert not await leased(engine)
    assert await engine.count("success") == asked


async def test_what_is_given_back_is_no_request_of_the_day(database: Database, provider: ProviderSandbox) -> None:
    """It was counted as it was planned; `/stats` would show too little left of the day's quota."""
    async with database.write() as session:
        await limits.ensure(session, [FREE_LANE])
    async with planned(database, provider, chain=("first/model:free", "second/model:free")) as engine:
        engine.worker.stop()
        await engine.until(lambda: only_in_flight(engine))
        async with database.read() as session:
            assert (await limits.load(session))[FREE_LANE].day_used == len(provider.requests)


async def test_nothing_leaves_after_a_stop(database: Database, provider: ProviderSandbox) -> None:
    """Also when it comes while a turn goes on, whose plans are given back."""
    await fill(database, 5)

    def stop(_: object) -> None:
        engine.worker.stop()

    async with running(database, provider, concurrency=1, on_finished=stop) as engine:
        await engine.until(lambda: some(engine, "success"))
    assert len(provider.requests) == await engine.count("success") == 1
    assert not await leased(engine)


async def test_its_leases_are_renewed(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or another process would take a post that is about to leave."""
    clock, lease = Clock(), 300
    follow(clock, monkeypatch)
    async with planned(database, provider, clock=clock, lease_seconds=lease) as engine:
        clock.ahead = timedelta(seconds=lease * 2 / 3)
        until = clock() + timedelta(seconds=lease)

        async def renewed() -> bool:
            held = await leased(engine)
            return all(post.lease_expires_at is not None and post.lease_expires_at >= until for post in held)

        engine.worker.wake()
        await engine.until(renewed)
        assert len(await leased(engine)) > PLACES


async def test_what_is_ready_does_not_leave_without_its_lease(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stood still for longer than its leases, and another one has had the posts."""
    clock, lease = Clock(), 300
    follow(clock, monkeypatch)
    async with planned(database, provider, clock=clock, lease_seconds=lease, tick_seconds=3600) as engine:
        asked, held = len(provider.requests), [post.id for post in await leased(engine)]
        clock.ahead = timedelta(seconds=2 * lease)
        tagged = {"lease_token": None, "lease_expires_at": None, "tagging_status": "success", "tags": ["another's"]}
        async with database.write() as session:
            await session.execute(update(Post).where(Post.id.in_(held)).values(**tagged))
            await add_posts(session, 1, 1, first=NEWEST)
        provider.release()
        await engine.until(lambda: is_tagged(engine, NEWEST))
        # What had left before, and the one post that is still to be tagged.
        assert len(provider.requests) == asked + 1
        assert all(post.tags == ["another's"] for post in await engine.posts() if post.id in held)


async def test_silence_gives_it_back(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider was quick and answers no more: nothing has to say so, and others may take what would not leave."""
    clock = Clock()
    follow(clock, monkeypatch)
    monkeypatch.setattr(product, "SILENCE_SECONDS", 0.01)
    monkeypatch.setattr(tempo, "SILENCE_SECONDS", 0.01)
    async with planned(database, provider, tick_seconds=3600) as engine:
        clock.ahead = timedelta(seconds=100 * tempo.AHEAD_SECONDS)
        await engine.until(lambda: only_in_flight(engine))
        provider.release()
        await engine.settled()
    assert len(provider.requests) == 30


async def test_a_wish_leaves_before_it(database: Database, provider: ProviderSandbox) -> None:
    """However much is ready."""
    async with planned(database, provider) as engine:
        asked = len(provider.requests)
        wanted = next(post for post in await engine.posts() if post.tagging_status == "success")
        async with database.write() as session:
            await retry_requests.ask_anew(session, wanted.id, utc_now())
        engine.worker.wake()
        await engine.until(lambda: is_leased(engine, wanted.id))
        provider.release()
        await engine.settled()
    next_ones = provider.requests[asked : asked + PLACES]
    assert any(str(wanted.text) in request.message for request in next_ones)


async def test_what_another_process_has_learnt_changes_the_plans(database: Database, provider: ProviderSandbox) -> None:
    """A limit that it met: nothing more goes to that model."""
    async with planned(database, provider) as engine:
        asked, before = len(provider.requests), {post.lease_token for post in await leased(engine)}
        now = utc_now()
        async with database.write() as session:
            await save_states(session, [ModelState(CHAIN[0], now + timedelta(hours=1), Aside.LIMITED, "429", now)])

        async def planned_anew() -> bool:
            kept = [post for post in await leased(engine) if post.lease_token in before]
            return len(kept) == provider.in_flight == PLACES

        engine.worker.wake()
        await engine.until(planned_anew)
        provider.release()
        await engine.settled()
    assert {request.model for request in provider.requests[asked:]} == {CHAIN[1]}


async def test_nothing_of_it_leaves_while_it_is_planned_anew(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that come meanwhile make places free; what is being given back must not take them."""
    async with planned(database, provider) as engine:
        asked, give_back = len(provider.requests), Dispatcher.give_back

        async def while_answers_come(
            self: Dispatcher, session: AsyncSession, starts: Sequence[Start], now: datetime
        ) -> None:
            provider.release()
            while provider.in_flight or len(engine.worker._answered) < PLACES:  # noqa: ASYNC110 - in other tasks
                await asyncio.sleep(0)
            await give_back(self, session, starts, now)
            monkeypatch.undo()

        monkeypatch.setattr(Dispatcher, "give_back", while_answers_come)
        now = utc_now()
        async with database.write() as session:
            await save_states(session, [ModelState(CHAIN[0], now + timedelta(hours=1), Aside.LIMITED, "429", now)])
        engine.worker.wake()
        await engine.settled()
    assert {request.model for request in provider.requests[asked:]} == {CHAIN[1]}


async def test_answers_that_come_during_a_turn_are_gathered_like_others(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn has made others ready to leave: a turn for those few alone would cost as much as one for many."""
    monkeypatch.setattr(product, "GATHER_SECONDS", 3600.0)
    groups: list[int] = []

    def count(finished: Sequence[Finished]) -> None:
        if not groups:
            provider.hold()
        groups.append(len(finished))

    await fill(database, 1 + PLACES)
    async with running(database, provider, concurrency=PLACES, timeout_seconds=600, on_finished=count) as engine:

        async def full() -> bool:
            return bool(groups) and provider.in_flight == 1 + PLACES - groups[0]

        await engine.until(full)
        plan, held = Dispatcher.plan, provider.in_flight

        async def while_answers_come(self: Dispatcher, *arguments: Any, **more: Any) -> Plan:
            provider.release()
            while len(engine.worker._answered) < held:  # noqa: ASYNC110 - in other tasks
                await asyncio.sleep(0)
            monkeypatch.setattr(Dispatcher, "plan", plan)
            return await plan(self, *arguments, **more)

        async with database.write() as session:
            await add_posts(session, 1, 10, first=2 + PLACES)
            monkeypatch.setattr(Dispatcher, "plan", while_answers_come)
        engine.worker.wake()
        await engine.settled()
    # The last are still under way when nothing is left to leave.
    assert groups[1] >= held + 10 - PLACES


async def test_a_wait_for_others_transactions_is_no_turn(
    database: Database, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile answers are read: to take it off their time would make a slow provider quick."""
    if not isinstance(database._writer, asyncio.Lock):
        pytest.skip("one process on SQLite")
    clock, held_up = Clock(), list[float]()
    follow(clock, monkeypatch)
    monkeypatch.setattr(tempo.Tempo, "held_up", lambda _self, seconds, _answers: held_up.append(seconds))
    async with running(database, provider, clock=clock, tick_seconds=3600) as engine:
        async with database.write() as session:
            await add_user(session, 1)
            await add_posts(session, 1, 3)
            engine.worker.wake()
            while not database._writer._waiters:  # noqa: ASYNC110 - in the worker's task
                await asyncio.sleep(0)
            clock.ahead = timedelta(seconds=1000)
        await engine.settled()
    assert held_up
    assert max(held_up) < 1000


async def test_a_stop_keeps_others_from_what_is_in_flight(database: Database, provider: ProviderSandbox) -> None:
    """Its leases last as long as it waits for the last answers, though they had nearly run out."""
    clock = Clock()
    async with planned(database, provider, clock=clock, lease_seconds=300) as engine:
        clock.ahead = timedelta(seconds=299)
        until = clock() + timedelta(seconds=300)
        engine.worker.stop()

        async def renewed() -> bool:
            held = await leased(engine)
            return len(held) == PLACES and all((post.lease_expires_at or now) >= until for post in held)

        now = utc_now()
        await engine.until(renewed)


async def test_a_refusal_holds_back_what_is_ready(database: Database, provider: ProviderSandbox) -> None:
    """After right answers the next leave before these are stored; not after a refusal of the account."""
    async with planned(database, provider) as engine:
        asked = len(provider.requests)
        for model in CHAIN:
            provider.model_fault(model, "account_401")
        provider.release()

        async def paused() -> bool:
            return (await engine.tagging.provider_state()).state == "paused" and not await leased(engine)

        await engine.until(paused)
    assert len(provider.requests) == asked
