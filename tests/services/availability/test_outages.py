"""Outages, limits and the account, as several workers on one database meet them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text as sql
from sqlalchemy import update
from structlog.testing import capture_logs

from sandbox.provider import ProviderSandbox
from services.availability.circuit_breaker import Aside, ModelState
from services.availability.model_states import load_states, save_states
from services.availability.retry_budget import FREE_RETRIES
from services.clock import utc_now
from services.tagging.retry_policy import AttemptTrail, Policy
from storage.db.engine import Database
from storage.schema.tables import Attempt, Post
from tests.services.engine import CHAIN, Clock, Engine, running
from tests.services.posts import own_tags
from tests.storage.rows import add_posts, add_user

STRICT = Policy(max_retries=0, retry_delay=0.01, max_attempts=1, backoff_seconds=3600)


async def fill(database: Database, count: int, *, first: int = 1) -> None:
    async with database.write() as session:
        if first == 1:
            await add_user(session, 1)
        await add_posts(session, 1, count, first=first)


def all_models(provider: ProviderSandbox, fault: str | None) -> None:
    for model in CHAIN:
        provider.model_fault(model, fault)


async def state_is(engine: Engine, state: str) -> None:
    async def so() -> bool:
        return (await engine.tagging.provider_state()).state == state

    await engine.until(so)


async def success_is(engine: Engine, count: int) -> bool:
    """Whether so many posts have their tags."""
    return await engine.count("success") == count


async def requests_are(engine: Engine, count: int) -> None:
    async def so() -> bool:
        return len(engine.provider.requests) >= count

    await engine.until(so)


@pytest.mark.parametrize("fault", ["http_503", "huge"])
async def test_no_post_fails_by_an_outage_that_begins_in_mid_work(
    database: Database, provider: ProviderSandbox, fault: str
) -> None:
    """One attempt of one request is all a post has, others were served a moment ago: none fails, and all that met
    the outage are due with the first answer, whatever their time was."""
    await fill(database, 40)
    provider.openrouter = False
    provider.queue(*[None] * 15, *[fault] * 100)
    async with running(database, provider, policy=STRICT, chain=CHAIN[:2]) as engine:
        await state_is(engine, "down")
        posts = await engine.posts()
        assert not [post for post in posts if post.tagging_status == "failed"]
        assert {post.tagging_attempts for post in posts if post.tagging_status == "retrying"} <= {0}
        provider.clear()
        await engine.tagging.probe()
        await engine.settled()
        assert all(own_tags(post) for post in await engine.posts())


async def test_a_post_that_alone_is_not_served_fails_when_its_attempts_are_used_up(
    database: Database, provider: ProviderSandbox
) -> None:
    """Others were served meanwhile: its fault is its own; no request more than its attempts is spent on it."""
    await fill(database, 30)
    provider.plan_for("Пост номер 30 ", "http_500")
    policy = Policy(max_retries=0, retry_delay=0.01, max_attempts=2, backoff_seconds=0.01)
    async with running(database, provider, policy=policy, concurrency=2) as engine:
        served = 29
        while not await engine.count("failed"):
            # Others go on coming.
            await fill(database, 1, first=100 + served)
            engine.worker.wake()
            served += 1
            await engine.until(partial(success_is, engine, served))
        post = next(post for post in await engine.posts() if post.tagging_status == "failed")
    assert (post.id, post.tagging_attempts, post.failure_kind) == (30, 2, "exhausted")
    asked = [request for request in provider.requests if "Пост номер 30 " in request.message]
    assert len(asked) <= 3


@pytest.mark.parametrize("fault", ["account_401", "account_402"])
async def test_a_refused_account_costs_the_requests_in_flight(
    database: Database, provider: ProviderSandbox, fault: str
) -> None:
    """Then tagging pauses."""
    all_models(provider, fault)
    await fill(database, 50)
    async with running(database, provider, concurrency=4) as engine:
        await state_is(engine, "paused")
    assert len(provider.requests) <= 4


async def test_after_a_403_requests_go_one_at_a_time(database: Database, provider: ProviderSandbox) -> None:
    """When every model gives it tagging pauses; 'Try now' ends the pause with one request, and all goes on."""
    provider.openrouter = False
    all_models(provider, "forbidden_403")
    await fill(database, 50)
    async with running(database, provider, concurrency=4) as engine:
        await state_is(engine, "paused")
        assert len(provider.requests) <= 4 + len(CHAIN) - 1
        all_models(provider, None)
        await engine.tagging.probe()
        await engine.settled()
        assert await engine.count("success") == 50


async def test_several_workers_send_one_probe(database: Database, provider: ProviderSandbox) -> None:
    """When the pause of the last model is over, whichever process is first; the others wait for what it gives."""
    if database.is_sqlite:
        pytest.skip("one process on SQLite")
    await fill(database, 30)
    now = utc_now()
    async with database.write() as session:
        down = [ModelState(model, now, Aside.DOWN, "because", now, 3, 1) for model in CHAIN]
        await save_states(session, down)
    provider.hold()
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(running(database, provider)) for _ in range(3)]
        await requests_are(engines[0], 1)
        for engine in engines:
            engine.worker.wake()
        async with database.read() as session:
            probed = [state.is_probed(utc_now()) for state in (await load_states(session)).values()]
        assert sum(probed) == 1
        assert len(provider.requests) == 1
        provider.release()
        await engines[0].settled()
    assert len(provider.requests) == 30


async def test_several_workers_share_one_pace(database: Database, provider: ProviderSandbox) -> None:
    """20 requests a minute are the account's: the next may start 3 s later, whichever process makes it."""
    if database.is_sqlite:
        pytest.skip("one process on SQLite")
    await fill(database, 5)
    clock = Clock()
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(running(database, provider, per_minute=20, clock=clock)) for _ in range(2)
        ]
        for sent in range(1, 4):
            await requests_are(engines[0], sent)

            async def recorded(count: int = sent) -> bool:
                return await engines[0].count("success") == count

            await engines[0].until(recorded)
            assert len(provider.requests) == sent
            clock.ahead += timedelta(seconds=3.1)
            for engine in engines:
                engine.worker.wake()


async def test_after_an_outage_requests_start_slowly(database: Database, provider: ProviderSandbox) -> None:
    """The probe's success lets two go, these let four go: a sick provider is not met by a burst."""
    await fill(database, 40)
    now = utc_now()
    async with database.write() as session:
        await save_states(session, [ModelState(model, now, Aside.DOWN, "x", now, 3, 1) for model in CHAIN])
    provider.latency = 0.02
    async with running(database, provider) as engine:
        await engine.settled()
    in_flight = []
    for index, request in enumerate(provider.requests):
        open_ones = [other for other in provider.requests[:index] if other.at + (other.seconds or 0) > request.at]
        in_flight.append(len(open_ones) + 1)
    assert in_flight[0] == 1
    assert max(in_flight[:3]) <= 2
    assert max(in_flight) > 4


async def test_an_outcome_that_cannot_be_stored_fails_its_post_alone(
    database: Database, provider: ProviderSandbox
) -> None:
    """Whatever the database has against it: the others of its group are stored, and nothing stops."""
    await fill(database, 20)
    await refuse_tags_of(database, 7)
    # Not printed: that takes longer than a request may.
    with capture_logs() as lines:
        async with running(database, provider) as engine:
            await engine.settled()
            posts = {post.id: post for post in await engine.posts()}
    assert [line["post_id"] for line in lines if line["event"] == "outcome_not_stored"] == [7]
    assert posts.pop(7).tagging_status == "failed"
    assert {post.tagging_status for post in posts.values()} == {"success"}
    assert len(provider.requests) == 20


async def test_nor_does_it_keep_the_others_from_being_stored_at_a_stop(
    database: Database, provider: ProviderSandbox
) -> None:
    """What was in flight is stored one by one."""
    await fill(database, 3)
    await refuse_tags_of(database, 2)
    provider.hold()
    with capture_logs():
        async with running(database, provider) as engine:
            await requests_are(engine, 3)
            engine.worker.stop()
            provider.release()
    statuses = [post.tagging_status for post in await engine.posts()]
    assert statuses == ["success", "failed", "success"]


async def refuse_tags_of(database: Database, post_id: int) -> None:
    """The database lets nobody store tags for that post."""
    statement = f"ALTER TABLE posts ADD CONSTRAINT refuse CHECK (id <> {post_id} OR tags IS NULL)"
    if database.is_sqlite:
        statement = (
            f"CREATE TRIGGER refuse BEFORE UPDATE OF tags ON posts WHEN NEW.id = {post_id} AND NEW.tags IS NOT NULL "
            "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
    async with database.write() as session:
        await session.execute(sql(statement))


async def test_a_limit_uses_up_no_attempt(database: Database, provider: ProviderSandbox) -> None:
    """A day's quota that is used up: paused until the provider's reset, and the quota is known then."""
    provider.openrouter = False
    chain = ("x/a:free", "x/b:free")
    provider.queue(*[None] * 3, *["rate_limit_day"] * 10)
    await fill(database, 20)
    async with running(database, provider, chain=chain, policy=STRICT) as engine:
        await state_is(engine, "limited")
        await requests_are(engine, 4)
        state = await engine.tagging.provider_state(backlog=True)
        posts = await engine.posts()
    assert state.until is not None
    assert (state.until - utc_now()).total_seconds() > 0
    assert state.quota is not None
    assert (state.quota.limit, state.quota.remaining) == (50, 0)
    # 17 of tomorrow's 50, at no pace.
    assert state.through_at == state.quota.resets_at
    assert {post.tagging_attempts for post in posts if post.tagging_status != "success"} == {0}


async def test_retries_beyond_their_share_wait_as_due_work(database: Database, provider: ProviderSandbox) -> None:
    """Posts after a fault are left in the queue, posts that have had none go out."""
    await fill(database, FREE_RETRIES + 25)
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id > 5).values(after_fault=True))
    async with running(database, provider) as engine:
        await requests_are(engine, 5 + FREE_RETRIES)

        async def stored() -> bool:
            return await engine.count("success") >= 5 + FREE_RETRIES

        await engine.until(stored)
        for fresh in range(3):
            # The worker has looked for work again each time.
            await fill(database, 1, first=200 + fresh)
            engine.worker.wake()
            await engine.until(partial(success_is, engine, 5 + FREE_RETRIES + fresh + 1))
    assert len(provider.requests) == 5 + FREE_RETRIES + 3


async def test_bytes_that_are_no_utf8_stop_nobody(database: Database, provider: ProviderSandbox) -> None:
    """Another program wrote them into its SQLite file: that post is tagged as far as it can be read, once."""
    if not database.is_sqlite:
        pytest.skip("PostgreSQL stores no such bytes")
    await fill(database, 3)
    async with database.write() as session:
        await session.execute(sql("UPDATE posts SET text = CAST(X'FF' || text AS TEXT) WHERE id = 2"))
    async with running(database, provider) as engine:
        await engine.settled()
        assert [post.tagging_status for post in await engine.posts()] == ["success"] * 3
    assert len(provider.requests) == 3


async def test_a_stop_gives_a_probe_back(database: Database, provider: ProviderSandbox) -> None:
    """The next start need not wait until a probe that was broken off would have ended."""
    await fill(database, 1)
    now = utc_now()
    async with database.write() as session:
        await save_states(session, [ModelState(model, now, Aside.DOWN, "x", now, 3, 1) for model in CHAIN])
    provider.hold()
    async with running(database, provider, stop_seconds=0) as engine:
        await requests_are(engine, 1)
    async with database.read() as session:
        assert not [state for state in (await load_states(session)).values() if state.is_probed(utc_now())]
    provider.release()
    async with running(database, provider) as engine:
        await engine.settled()
        assert await engine.count("success") == 1


async def test_a_doubt_is_settled_once(database: Database, provider: ProviderSandbox) -> None:
    """A post that is put off after its attempt in doubt has counted is not charged for it again and again."""
    await fill(database, 1)
    now = utc_now()
    aside = ModelState(CHAIN[1], now + timedelta(hours=1), Aside.LIMITED, "x", now)
    async with database.write() as session:
        await save_states(session, [aside])
        post = await session.get_one(Post, 1)
        post.tagging_status, post.tagging_attempts, post.tagging_error = "retrying", 1, "HTTP 500"
        post.last_tagging_attempt, post.waits_for_upstream = now - timedelta(minutes=1), True
        post.attempt_trail = AttemptTrail(refused=CHAIN[:1]).to_json()
        tagged = {"post_id": 1, "request_id": "x", "at": now, "model_asked": "m", "outcome": "tagged", "seconds": 1.0}
        session.add(Attempt(**tagged))
    async with running(database, provider, chain=CHAIN[:2]) as engine:
        for _ in range(3):

            async def put_off() -> bool:
                return (await engine.posts())[0].next_attempt_at is not None

            await engine.until(put_off)
            assert (await engine.posts())[0].tagging_attempts == 2
            async with database.write() as session:
                await session.execute(update(Post).values(next_attempt_at=None))
            engine.worker.wake()
    assert provider.requests == []
