"""A post is looked for by its message: what its user has of the channel besides makes it no longer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.engine import Database
from storage.posts import bulk, channel_posts
from storage.reads import channel_cards
from tests.storage.plan import plan_of
from tests.storage.rows import add_posts, add_user

LOOKUPS: list[Callable[[AsyncSession], Awaitable[Any]]] = [
    lambda session: bulk.stored_texts(session, 1, 1, range(1, 500)),
    lambda session: bulk.stored_between(session, 1, 1, 1, 500),
    lambda session: channel_posts.find_post(session, 1, 1, 5),
    lambda session: channel_posts.find_album(session, 1, 1, 5, "album"),
]


@pytest.mark.parametrize("look_up", LOOKUPS, ids=["texts", "between", "post", "album"])
async def test_the_index_of_messages_serves(
    look_up: Callable[[AsyncSession], Awaitable[Any]], database: Database
) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1000)
    plan = await plan_of(database, look_up, beginning="SELECT")
    assert "ix_metka_posts_message" in plan
    assert "ix_metka_posts_user" not in plan
    # PostgreSQL may read all of a channel's entries in the index, and filter them.
    conditions = [line for line in plan.splitlines() if "Index Cond" in line]
    assert all("telegram_message_id" in condition for condition in conditions)


async def test_who_waits_for_new_posts_has_no_old_ones_counted(database: Database) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1000)
        await session.execute(sql("ANALYZE posts"))
    plan = await plan_of(database, lambda session: channel_cards.posts_after(session, 1, [1], 990), beginning="SELECT")
    assert "rowid>" in plan if database.is_sqlite else "id > 990" in _index_condition(plan), plan


def _index_condition(plan: str) -> str:
    return "".join(line for line in plan.splitlines() if "Index Cond" in line)
