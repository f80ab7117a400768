"""How the databases find what /metrics shows: by indexes, and nothing but what waits is read."""

from __future__ import annotations

import pytest

from storage import gauges, outbox, reads
from storage.database import Database
from tests.storage.plan import plan_of
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
    """A million posts that are done cost nothing, and nothing is sorted."""
    plan = await plan_of(filled, lambda session: gauges.look_at_queue(session, NOW))
    assert "ix_metka_posts_due" in plan or "ix_metka_posts_queue" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan
    assert "Sort" not in plan, plan


async def test_counts_by_status_touch_no_post(filled: Database) -> None:
    """The index holds all that they need."""
    plan = await plan_of(filled, lambda session: reads.count_by_status(session, None))
    assert "ix_metka_posts_unfinished" in plan, plan
    assert "COVERING INDEX" in plan or "Index Only Scan" in plan or "Bitmap" in plan, plan
    assert "Seq Scan" not in plan, plan


async def test_messages_that_wait_are_read_from_a_partial_index(filled: Database) -> None:
    """Not from all that were ever sent."""
    plan = await plan_of(filled, lambda session: outbox.count_waiting(session, NOW))
    assert "ix_metka_outbox_ready" in plan, plan
