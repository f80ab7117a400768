"""How the databases find due posts: by the queue's index, whatever else stands in the table."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from storage import queue
from storage.database import Database
from tests.storage.plan import plan_of
from tests.storage.rows import NOW, add_posts, add_user


async def plan_of_a_claim(database: Database) -> str:
    """The plan of the statement that a claim makes."""

    async def claim(session: AsyncSession) -> None:
        await queue.claim(session, limit=10, now=NOW, lease_seconds=60, token="t", after_user=0)

    return await plan_of(database, claim, beginning="WITH RECURSIVE turns")


async def test_a_claim_reads_no_whole_table(database: Database) -> None:
    """Neither of all posts nor of all that wait: due ones come from the queue's index, user by user, in its order."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 200, tagging_status="success", tags=["a"])
        await add_posts(session, 1, 5, first=201)
    plan = await plan_of_a_claim(database)
    assert "ix_metka_posts_queue" in plan, plan
    assert "Seq Scan on posts" not in plan, plan
    for alias in ("posts", "row", "best", "post"):
        assert f"SCAN {alias}" not in plan, plan
        assert f"Seq Scan on posts {alias}" not in plan, plan
