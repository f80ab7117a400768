"""How the databases find a page of posts: by the index of a user's posts, in its order, and no further."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy import text as sql

from storage import lists
from storage.database import Database
from tests.storage.rows import NOW, add_posts, add_user


async def plan_of_a_page(database: Database, before: tuple[datetime, int | None] | None) -> str:
    """The plan of the statement that reads a page."""
    made: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith("SELECT posts"):
            made.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.read() as session:
        await lists.posts(session, 1, status=None, tag=None, before=before, limit=10)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    statement, parameters = made[0]
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as session:
        connection = await session.connection()
        if not database.is_sqlite:
            # A small table is read whole unless that is forbidden; one that can be read no other way still is.
            for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
                await session.execute(sql(f"SET LOCAL {setting} = off"))
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(tuple(row)) for row in rows)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (None, "(user_id=?)"),
        ((NOW, 150), "(user_id=? AND posted_at<?)"),
        ((NOW, None), "(user_id=? AND posted_at<?)"),
    ],
    ids=["first", "cursor", "time"],
)
async def test_a_page_is_read_from_its_index(
    database: Database, before: tuple[datetime, int | None] | None, words: str
) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 200)
    plan = await plan_of_a_page(database, before)
    assert "ix_metka_posts_user_posted" in plan, plan
    assert "Seq Scan on posts" not in plan, plan
    assert "SCAN posts" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan
    assert "Sort" not in plan, plan
    if database.is_sqlite:
        assert words in plan, plan
    elif before is not None:
        condition = next(line for line in plan.splitlines() if "Index Cond" in line and "posted_at" in line)
        assert "user_id" in condition, plan
        assert "Filter" not in plan, plan
