"""How the databases find what /metrics shows: by indexes, and nothing but what waits is read."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy import text as sql

from storage import gauges, outbox, reads
from storage.database import Database
from tests.storage.rows import NOW, add_posts, add_user


async def plan_of(database: Database, look: Any) -> str:
    """The plan of the last statement that `look` makes."""
    made: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        made.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.read() as session:
        await look(session)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    statement, parameters = made[-1]
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as session:
        connection = await session.connection()
        if not database.is_sqlite:
            # A small table is read whole unless that is forbidden; one that can be read no other way still is.
            await session.execute(sql("SET LOCAL enable_seqscan = off"))
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(tuple(row)) for row in rows)


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
    assert "ix_metka_posts_next_attempt" in plan or "ix_metka_posts_queue" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan
    assert "Sort" not in plan, plan


async def test_counts_by_status_touch_no_post(filled: Database) -> None:
    """The index holds all that they need."""
    plan = await plan_of(filled, lambda session: reads.count_by_status(session, None))
    assert "ix_metka_posts_user_status" in plan, plan
    assert "COVERING INDEX" in plan or "Index Only Scan" in plan or "Bitmap" in plan, plan
    assert "Seq Scan" not in plan, plan


async def test_messages_that_wait_are_read_from_a_partial_index(filled: Database) -> None:
    """Not from all that were ever sent."""
    plan = await plan_of(filled, lambda session: outbox.count_waiting(session, NOW))
    assert "ix_metka_outbox_ready" in plan, plan
