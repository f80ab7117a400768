"""How the databases find what /metrics shows: by indexes, and nothing but what waits is read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from storage import outbox
from storage.db.engine import Database
from storage.reads import metrics, overview
from storage.schema.tables import Post
from tests.storage.plan import plan_of, plans_of
from tests.storage.rows import NOW, add_posts, add_user


@pytest.fixture
async def filled(database: Database) -> Database:
    """Many posts that are done, and a few that wait."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 200, tagging_status="success", tags=["a"])
        await add_posts(session, 1, 5, first=201)
    return database


async def test_the_queue_is_read_from_a_partial_index(filled: Database) -> None:
    """A million posts that are done cost nothing, nor those whose time has not come, and nothing is sorted."""
    for plan in await plans_of(filled, lambda session: metrics.look_at_queue(session, NOW)):
        assert "ix_metka_posts_due" in plan, plan
        assert "SEARCH" in plan or "Index Cond" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan
        assert "Sort" not in plan, plan


async def test_the_queue_is_counted_by_status(filled: Database) -> None:
    """Posts under a lease are counted apart; the oldest of each status tells since when posts are due."""
    async with filled.write() as session:
        await add_posts(session, 1, 1, first=300, next_attempt_at=NOW)
        for first, minutes in ((310, 9), (320, 8), (330, 9), (340, 7), (350, -5)):
            due = NOW - timedelta(minutes=minutes)
            await add_posts(session, 1, 3, first=first, tagging_status="retrying", next_attempt_at=due)
        held = Post.id.in_([201, 310, 342])
        await session.execute(update(Post).where(held).values(lease_token="t", lease_expires_at=NOW + timedelta(1)))
    async with filled.read() as session:
        look = await metrics.look_at_queue(session, NOW)
    assert (look.due, look.leased) == ({"pending": 5, "retrying": 10}, 3)
    assert look.oldest_due == {"pending": NOW, "retrying": NOW - timedelta(minutes=9)}


async def test_counts_by_status_touch_no_post(filled: Database) -> None:
    """The index holds all that they need."""
    plan = await plan_of(filled, lambda session: overview.count_by_status(session, None))
    assert "ix_metka_posts_unfinished" in plan, plan
    assert "COVERING INDEX" in plan or "Index Only Scan" in plan or "Bitmap" in plan, plan
    assert "Seq Scan" not in plan, plan


async def test_messages_that_wait_are_read_from_a_partial_index(filled: Database) -> None:
    """Not from all that were ever sent."""
    plan = await plan_of(filled, lambda session: outbox.count_waiting(session, NOW))
    assert "ix_metka_outbox_ready" in plan, plan
