"""How the databases find due posts: by the queue's index, whatever else stands in the table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy import text as sql

from storage import queue
from storage.database import Database
from tests.storage.rows import NOW, add_posts, add_user


async def plan_of_a_claim(database: Database) -> str:
    """The plan of the statement that a claim makes."""
    made: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith("UPDATE posts"):
            made.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.write() as session:
        await queue.claim(session, limit=10, now=NOW, lease_seconds=60, token="t", after_user=0)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    statement, parameters = made[0]
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as session:
        connection = await session.connection()
        if not database.is_sqlite:
            # A small table is read whole unless that is forbidden; one that can be read no other way still is.
            await session.execute(sql("SET LOCAL enable_seqscan = off"))
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(tuple(row)) for row in rows)


async def test_a_claim_reads_no_whole_table(database: Database) -> None:
    """Neither of all posts nor of all that wait: a user's due ones come from the queue's index in their order."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 200, tagging_status="success", tags=["a"])
        await add_posts(session, 1, 5, first=201)
    plan = await plan_of_a_claim(database)
    assert "ix_metka_posts_queue" in plan, plan
    assert "Seq Scan on posts" not in plan, plan
    assert "SCAN posts" not in plan, plan
    assert "SCAN chosen" not in plan, plan
    assert "Filter: (SubPlan" not in plan, plan
