"""Posts wait for company in the queue while a day's quota is scarce."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import update

from benchmarks.quota_day import Outcomes, Replay
from sandbox.provider import ProviderSandbox
from services.availability.quota_planner import LAST_SECONDS, RESERVE
from services.availability.rate_limit import FREE_SCOPE, RateLimit
from services.clock import day_ends, utc_day
from services.tagging.dispatcher import Dispatcher
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy
from services.tagging.tagging_request import Plan
from storage.db.engine import Database
from storage.queue import limits
from storage.queue.claim import Priority
from storage.schema.tables import Post
from tests.services.engine import running
from tests.statements import noted
from tests.storage.db.locks import somebody_waits
from tests.storage.rows import NOW, add_posts, add_user, get_post

FREE, PAID = ("free/model:free",), ("paid/model",)
QUOTA, BATCH = 50, 10
TO_RESET = (day_ends(NOW) - NOW).total_seconds()
ONLY_RESERVE = QUOTA - RESERVE


def dispatcher(chain: tuple[str, ...] = FREE, per_minute: int | None = 0) -> Dispatcher:
    rate_limit, policy = RateLimit(per_minute), Policy()
    recorder = Recorder(chain, policy, rate_limit, frozenset(), lambda: NOW, Random(1))
    return Dispatcher(
        recorder,
        chain,
        policy,
        rate_limit,
        concurrency=10,
        batch_size=BATCH,
        lease_seconds=300,
        probe_seconds=65,
        sends_models=lambda: True,
    )


async def begin(database: Database, used: int | None, *, yesterday: int = 0) -> None:
    """A user whose channel had as many posts on the day before, after this time of day; the quota, if it is known."""
    async with database.write() as session:
        await add_user(session, 1)
        done = {"tagging_status": "success", "tags": ["a"], "posted_at": NOW - timedelta(hours=23)}
        if yesterday:
            await add_posts(session, 1, yesterday, first=1000, **done)
        if used is not None:
            await limits.ensure(session, [FREE_SCOPE])
            await limits.learn(
                session, FREE_SCOPE, day_limit=QUOTA, day_limit_stated=True, day=utc_day(NOW), day_used=used
            )


async def add(database: Database, count: int, *, first: int = 1, waited: float = 0, **values: Any) -> None:
    async with database.write() as session:
        since = NOW - timedelta(seconds=waited)
        await add_posts(session, 1, count, first=first, posted_at=since, parsed_at=since, **values)


async def plan(database: Database, made: Dispatcher | None = None) -> Plan:
    async with database.write() as session:
        return await (made or dispatcher()).plan(session, NOW, [], probe=False)


def sent(made: Plan) -> list[int]:
    return [post.id for request in made.requests for post in request.posts]


async def test_a_lone_post_waits_in_the_queue_and_what_a_person_asks_for_goes(database: Database) -> None:
    """A process that starts anew finds the same plan, since the post is as it was; a full batch goes at once."""
    await begin(database, used=10, yesterday=200)
    await add(database, 1)
    for _ in range(2):
        held = await plan(database)
        assert sent(held) == []
        assert held.wait == pytest.approx(TO_RESET / (QUOTA - 10 - RESERVE - 1))
    post = await get_post(database, 1)
    assert (post.tagging_status, post.next_attempt_at, post.lease_token) == ("pending", None, None)
    await add(database, 1, first=2, work_class=Priority.ASKED)
    assert sent(await plan(database)) == [2]
    await add(database, BATCH - 1, first=3)
    assert len(sent(await plan(database))) == BATCH


@pytest.mark.parametrize(
    ("values", "goes"),
    [
        ({"work_class": Priority.ASKED}, True),
        ({}, False),
        ({"work_class": Priority.RETRY, "tagging_status": "retrying"}, False),
        ({"work_class": Priority.BULK}, False),
        ({"work_class": Priority.BACKFILL}, False),
        ({"work_class": Priority.NIGHTLY}, False),
        # No request is needed for them.
        ({"text": "  "}, True),
    ],
)
async def test_the_reserve_is_for_what_people_ask_for(database: Database, values: dict[str, Any], goes: bool) -> None:
    await begin(database, used=ONLY_RESERVE)
    await add(database, 2 * BATCH, **values)
    made = await plan(database)
    assert made.claimed is goes
    if not goes:
        assert made.wait == pytest.approx(TO_RESET - LAST_SECONDS)


async def test_the_next_look_is_when_another_post_becomes_due(database: Database) -> None:
    await begin(database, used=ONLY_RESERVE)
    await add(database, 1)
    await add(database, 1, first=2, next_attempt_at=NOW + timedelta(seconds=7), work_class=Priority.ASKED)
    assert (await plan(database)).wait == pytest.approx(7)


@pytest.mark.parametrize(("chain", "used"), [(FREE, None), (FREE, QUOTA + 1), (PAID, ONLY_RESERVE)])
async def test_without_a_known_quota_nothing_waits(
    database: Database, chain: tuple[str, ...], used: int | None
) -> None:
    """Nor is a statement added to the turn."""
    await begin(database, used, yesterday=200)
    await add(database, 1)
    with noted(database) as statements:
        assert sent(await plan(database, dispatcher(chain, None))) == [1]
    assert statements.about("posted_at >") == 0


async def test_the_fullest_batch_goes_first(database: Database) -> None:
    """Retries share no request with other posts: 6 of them go before 2 newer posts."""
    await begin(database, used=10, yesterday=50)
    await add(database, 6, after_fault=True)
    await add(database, 2, first=7)
    assert sorted(sent(await plan(database))) == [1, 2, 3, 4, 5, 6]
    assert sent(await plan(database)) == []


async def test_another_process_keeps_to_the_plan(database: Database) -> None:
    """It has planned with a request that this one makes meanwhile: it plans anew instead of sending its batch."""
    if database.is_sqlite:
        pytest.skip("one process on SQLite")
    await begin(database, used=10, yesterday=150)
    await add(database, BATCH)
    async with database.write() as session:
        first = await dispatcher().plan(session, NOW, [], probe=False)
        await add(database, BATCH, first=BATCH + 1)
        other = asyncio.create_task(plan(database))
        await somebody_waits(database)
    found = await other
    assert len(sent(first)) == BATCH
    assert (found.requests, found.wait) == ((), 0)
    async with database.read() as session:
        assert (await limits.load(session))[FREE_SCOPE].day_used == 11
    assert len(sent(await plan(database))) == BATCH


async def test_a_press_sends_the_waiting_posts_of_one_person(database: Database, provider: ProviderSandbox) -> None:
    """A batch of them, the newest, with what is kept for people; old posts of a channel are not meant."""
    await begin(database, used=ONLY_RESERVE)
    await add(database, 12)
    await add(database, 1, first=20, work_class=Priority.BACKFILL)
    async with database.write() as session:
        await add_user(session, 2)
        await session.execute(update(Post).where(Post.id == 12).values(user_id=2))
    async with running(database, provider, chain=FREE, batch_size=BATCH, clock=lambda: NOW) as engine:
        state = await engine.tagging.provider_state(backlog=True)
        assert state.next_batch_at == day_ends(NOW) - timedelta(seconds=LAST_SECONDS)
        assert await engine.tagging.send_now(1) == BATCH

        async def are_tagged() -> bool:
            return await engine.count("success") == BATCH

        await engine.until(are_tagged)
        waiting = [post.id for post in await engine.posts() if post.tagging_status == "pending"]
    assert waiting == [1, 12, 20]
    assert len(provider.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("posts", "yesterday"), [(20, 0), (300, 300), (450, 450)])
async def test_a_day_of_a_free_account(database: Database, posts: int, yesterday: int) -> None:
    """All posts are tagged on their day. Of 20 none waits; of 300 half wait 12 minutes at most, without the reserve."""
    found: Outcomes = await Replay(database, seed=5).day(posts, yesterday=yesterday)
    assert (found.missed, len(found.minutes)) == (0, posts)
    assert found.requests <= (QUOTA if posts == 450 else ONLY_RESERVE)
    assert found.waited == 0 if posts == 20 else sorted(found.minutes)[posts // 2] <= 12
