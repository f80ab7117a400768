"""Two at the same rows at once, as only PostgreSQL lets them be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from services.ingest.store import store
from services.sources.base import Delivery, SourceChannel, SourcePost
from storage.db.engine import Database
from storage.queue import claim, leases, retry_requests
from storage.queue.claim import ClaimedPost
from storage.schema.tables import Post
from tests.storage.db.locks import free_rows, somebody_waits
from tests.storage.rows import NOW, add_posts, add_user, get_post


@pytest.fixture
def backend() -> str:
    """On SQLite whoever writes is alone."""
    return "postgresql"


async def test_settle_locks_posts_before_it_checks_their_leases(database: Database) -> None:
    """Also a post whose lease was lost stays locked until the transaction ends."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 2)
    async with database.write() as session:
        (post,) = await claim.claim_posts(session, limit=1, now=NOW, lease_seconds=60, token="t", after_user=0)
    async with database.write() as session:
        await leases.settle(session, [(post._replace(token="lost"), {"tagging_status": "success"})])
        assert await free_rows(database) == [{1, 2}.difference({post.id}).pop()]


async def test_a_post_that_is_claimed_meanwhile_is_left_to_its_claim(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A /retry force chooses posts that are free, and changes those that are free still: nothing is asked twice."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 2)
    insert, claimed = retry_requests._insert_run, list[ClaimedPost]()

    async def after_a_claim(session: AsyncSession, *args: Any) -> int:
        async with database.write() as other:
            claimed.extend(await claim.claim_posts(other, limit=1, now=NOW, lease_seconds=60, token="t", after_user=0))
        return await insert(session, *args)

    monkeypatch.setattr(retry_requests, "_insert_run", after_a_claim)
    async with database.write() as session:
        await retry_requests.start_run(session, user_id=1, telegram_id=1001, limit=9, force=True, now=NOW)
    async with database.write() as session:
        assert (await leases.settle(session, [(claimed[0], {"tagging_status": "success"})])).wrote(claimed[0])
    wanted = {number: (await get_post(database, number)).wants_new for number in (1, 2)}
    assert wanted == {claimed[0].id: None, 3 - claimed[0].id: True}


async def wish(session: AsyncSession) -> None:
    await retry_requests.ask_again(session, [3, 2, 1], 1, NOW, force=True)


async def renewal(session: AsyncSession) -> None:
    claimed = [ClaimedPost(number, 1, "x", (), 0, 1, None, None, "t") for number in (3, 2, 1)]
    await leases.renew(session, claimed, NOW)


async def delivery(session: AsyncSession) -> None:
    """The posts were edited, but for the second one, which has been deleted."""
    posts = [SourcePost(number, f"Newer {number}", NOW) for number in (3, 1)]
    whole = Delivery(SourceChannel(None, "channel1", "Channel 1"), posts, 2, is_whole=True)
    tally = await store(session, 1, whole, NOW)
    assert (tally.edited, tally.gone) == (2, 1)


@pytest.mark.parametrize("change", [wish, renewal, delivery])
async def test_whoever_changes_many_posts_locks_them_by_their_ids(
    database: Database, change: Callable[[AsyncSession], Awaitable[None]]
) -> None:
    """Who waits for the first one holds no other, for which whoever holds the first might wait."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 3, lease_token="t", parsed_at=NOW)
    # Of the table's rows the first one is the last now.
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 1).values(tagging_attempts=1))

    async def changed() -> None:
        async with database.write() as session:
            for way in ("indexscan", "bitmapscan"):
                await session.execute(sql(f"SET LOCAL enable_{way} = off"))
            await change(session)

    async with database.write() as holder:
        await holder.execute(select(Post.id).where(Post.id == 1).with_for_update())
        task = asyncio.create_task(changed())
        await somebody_waits(database)
        free = await free_rows(database)
    await task
    assert {2, 3} <= set(free)
