"""How the databases find due posts: by the queue's index, whatever else stands in the table."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.engine import Database
from storage.queue.claim import claim_posts, claim_statement
from storage.schema.types import UtcDateTime
from tests.storage.plan import is_full_scan, plan_of
from tests.storage.rows import NOW, add_posts, add_user


async def plan_of_a_claim(database: Database, *, only_asked: bool) -> str:
    """The plan of the statement that a claim makes."""

    async def claim(session: AsyncSession) -> None:
        await claim_posts(session, limit=10, now=NOW, lease_seconds=60, token="t", after_user=0, only_asked=only_asked)

    return await plan_of(database, claim, beginning="WITH RECURSIVE turns")


@pytest.mark.parametrize("only_asked", [False, True])
async def test_a_claim_reads_no_whole_table(database: Database, only_asked: bool) -> None:
    """Neither of all posts nor of all that wait, nor of all users: each step begins where the queue's index says."""
    async with database.write() as session:
        for user in range(1, 13):
            await add_user(session, user)
            await add_posts(session, user, 200, first=user * 1000, tagging_status="success", tags=["a"])
            await add_posts(session, user, 5, first=user * 1000 + 200)
        if not database.is_sqlite:
            # Of a small table that it does not know, PostgreSQL would read all, by any index.
            await session.execute(sql("ANALYZE"))
    plan = await plan_of_a_claim(database, only_asked=only_asked)
    assert "ix_metka_posts_queue" in plan, plan
    assert not [line for line in plan.splitlines() if is_full_scan(line)], plan
    assert "SCAN users" not in plan, plan
    assert "Seq Scan on users" not in plan, plan
    assert "Filter: (SubPlan" not in plan, plan
    for line in plan.splitlines():
        # Whoever reads posts or the queue's index has a place to begin at.
        assert "ix_metka_posts" not in line or "ix_metka_posts_queue" in line, plan
        assert "SCAN row" not in line, plan


async def test_a_claim_takes_as_long_for_a_thousand_users_as_for_ten(database: Database) -> None:
    """The walk ends with as many users as posts are wanted."""
    steps = []
    for users in (30, 300):
        async with database.write() as session:
            for number in range(users // 10, users):
                await add_user(session, number + 1)
                await add_posts(session, number + 1, 1, first=number + 1)
        steps.append(await _steps(database))
    assert steps == [6, 6]


async def _steps(database: Database) -> int:
    """Rows of the walk for five posts, with the one that it begins with."""
    statement = claim_statement(database.engine.dialect.name, retries=True)
    walk = str(statement.element.text).partition("UPDATE posts")[0] + "SELECT count(*) FROM turns"  # type: ignore[attr-defined]
    async with database.read() as session:
        values = {"after_user": 0, "limit": 5}
        counted = sql(walk).bindparams(bindparam("now", NOW, UtcDateTime), **values)
        return int((await session.execute(counted)).scalar_one())
