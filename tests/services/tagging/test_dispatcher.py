"""What goes out in a turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import select, update

from services.availability.circuit_breaker import Aside, ModelState
from services.availability.model_states import save_states
from services.availability.rate_limit import FREE_SCOPE, RateLimit
from services.tagging.dispatcher import MOST_MISSED, Dispatcher
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy
from services.tagging.tagging_request import Plan
from storage.db.engine import Database
from storage.queue import limits
from storage.queue.claim import Priority
from storage.schema.tables import Post
from tests.storage.rows import NOW, add_posts, add_user, sqlite_without_foreign_keys

CHAIN, FREE_CHAIN = ("first/model", "second/model"), ("free/model:free",)
BATCH = 10
PAST, LATER = NOW - timedelta(seconds=1), NOW + timedelta(hours=1)


def dispatcher(*, per_minute: int = 0, batch_size: int = BATCH, chain: tuple[str, ...] = CHAIN) -> Dispatcher:
    rate_limit, policy = RateLimit(per_minute), Policy()
    recorder = Recorder(chain, policy, rate_limit, frozenset(), lambda: NOW, Random(1))
    return Dispatcher(
        recorder,
        chain,
        policy,
        rate_limit,
        concurrency=10,
        batch_size=batch_size,
        lease_seconds=300,
        probe_seconds=65,
        sends_models=lambda: True,
    )


async def fill(database: Database, count: int, *, first: int = 1) -> None:
    async with database.write() as session:
        if first == 1:
            await add_user(session, 1)
        await add_posts(session, 1, count, first=first)


async def plan(database: Database, made: Dispatcher, *, probe: bool = False) -> Plan:
    async with database.write() as session:
        return await made.plan(session, NOW, [], probe=probe)


async def untouched(database: Database) -> int:
    """How many posts are due, and in nobody's hands."""
    async with database.read() as session:
        posts = await session.scalars(select(Post))
        return len([post for post in posts if post.lease_token is None and post.next_attempt_at is None])


async def test_a_paced_request_is_as_full_as_any(database: Database) -> None:
    """The limit is on requests: one a turn, about as many posts as may be."""
    await fill(database, 3 * BATCH)
    made = await plan(database, dispatcher(per_minute=20))
    assert [len(request.posts) for request in made.requests] == [BATCH]
    assert await untouched(database) == 2 * BATCH


@pytest.mark.parametrize(("until", "asked_for"), [(PAST, False), (LATER, True)])
async def test_a_probe_is_about_one_post(database: Database, until: Any, asked_for: bool) -> None:
    """The pause of every model has ended, or somebody wants to try: no other post is put off for it."""
    await fill(database, BATCH)
    async with database.write() as session:
        await save_states(session, [ModelState(model, until, Aside.DOWN, "x", PAST, 3, 1) for model in CHAIN])
    made = await plan(database, dispatcher(), probe=asked_for)
    assert [(len(request.posts), request.is_probe) for request in made.requests] == [(1, True)]
    assert await untouched(database) == BATCH - 1


async def test_beside_a_probe_the_others_go_to_a_model_that_is_up(database: Database) -> None:
    """One post finds out whether the first model is back; the rest of its turn does not bet on it."""
    await fill(database, 3)
    async with database.write() as session:
        await save_states(session, [ModelState(CHAIN[0], PAST, Aside.DOWN, "x", PAST, 3, 1)])
    made = await plan(database, dispatcher(batch_size=1))
    asked = sorted((request.models[0], request.is_probe) for request in made.requests)
    assert asked == [(CHAIN[0], True), (CHAIN[1], False), (CHAIN[1], False)]


async def test_each_post_goes_where_its_own_attempt_says(database: Database) -> None:
    """Those of one turn: one was refused by the first model, one was asked about there, one by nobody yet."""
    await fill(database, 3)
    trails = {1: {"refused": [CHAIN[0]]}, 2: {"asked": [CHAIN[0]]}}
    async with database.write() as session:
        for post_id, trail in trails.items():
            await session.execute(update(Post).where(Post.id == post_id).values(attempt_trail=trail))
    made = await plan(database, dispatcher(batch_size=1))
    assert {request.posts[0].id: request.models[0] for request in made.requests} == {
        1: CHAIN[1],
        2: CHAIN[1],
        3: CHAIN[0],
    }


async def test_users_are_served_in_turn_over_several_claims(database: Database) -> None:
    """Each claim begins after the user whose turn was the last."""
    async with database.write() as session:
        for user in (1, 2, 3):
            await add_user(session, user)
            await add_posts(session, user, 2, first=10 * user, work_class=Priority.ASKED)
    made, served = dispatcher(per_minute=60, batch_size=1), list[int]()
    for _ in range(6):
        async with database.write() as session:
            found = await made.plan(session, NOW + timedelta(minutes=len(served)), [], probe=False)
        served += [post.user_id for each in found.requests for post in each.posts]
    assert served == [1, 2, 3, 1, 2, 3]


async def test_requests_to_free_models_count_towards_the_days_quota(database: Database) -> None:
    """Each as it leaves, however many posts it is about."""
    await fill(database, 3)
    async with database.write() as session:
        await limits.ensure(session, [FREE_SCOPE])
    await plan(database, dispatcher(batch_size=1, chain=FREE_CHAIN))
    await fill(database, 4, first=10)
    await plan(database, dispatcher(batch_size=2, chain=FREE_CHAIN))
    async with database.read() as session:
        assert (await limits.load(session))[FREE_SCOPE].day_used == 5


async def test_what_cannot_be_claimed_is_looked_at_less_and_less(database: Database) -> None:
    """A post is due, yet its user is gone, or another program has locked it; when it can be had, all begins anew."""
    await fill(database, 1)
    made = dispatcher()
    for _ in range(2):
        async with out_of_reach(database):
            waits = [(await plan(database, made)).wait for _ in range(7)]
            assert waits == [1, 2, 4, 8, 16, MOST_MISSED, MOST_MISSED]
        found = await plan(database, made)
        assert found.claimed
        async with database.write() as session:
            await made.give_back(session, found.requests)


@asynccontextmanager
async def out_of_reach(database: Database) -> AsyncIterator[None]:
    """No worker can have the post."""
    if not database.is_sqlite:
        async with database.write() as session:
            await session.execute(select(Post.id).with_for_update())
            yield
        return
    with sqlite_without_foreign_keys(database) as parser:
        parser.execute("UPDATE posts SET user_id = 9")
    yield
    async with database.write() as session:
        await session.execute(update(Post).values(user_id=1))
