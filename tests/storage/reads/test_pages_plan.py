"""How the databases find a page of posts: by the index of a user's posts, in its order, and no further."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.engine import Database
from storage.reads import lists
from tests.storage.plan import plan_of
from tests.storage.rows import NOW, add_posts, add_user


async def plan_of_a_page(database: Database, before: tuple[datetime, int | None] | None) -> str:
    """The plan of the statement that reads a page."""

    async def page(session: AsyncSession) -> None:
        await lists.posts(session, 1, status=None, tag=None, before=before, limit=10)

    forbidden = ("enable_seqscan", "enable_bitmapscan", "enable_sort")
    return await plan_of(database, page, beginning="SELECT posts", forbidden=forbidden)


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
    assert ("ix_metka_posts_user_tags" if database.is_sqlite else "ix_metka_posts_user_posted") in plan, plan
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
