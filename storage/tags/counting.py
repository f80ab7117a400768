"""Posts whose tags are not counted in their users' vocabularies yet, whoever wrote them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, Text, select, update
from sqlalchemy import cast as sql_cast
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import UNCOUNTED
from storage.schema.tables import Post, User
from storage.schema.types import strings_in

_POSTS = cast("Table", Post.__table__)


@dataclass(frozen=True, slots=True)
class UncountedPost:
    id: int
    user_id: int
    tags: tuple[str, ...]
    counted: tuple[str, ...]
    #: Whether the worker has tagged it.
    is_ours: bool


async def has_uncounted(session: AsyncSession, user_id: int | None = None) -> bool:
    query = select(Post.id).where(sql(UNCOUNTED)).limit(1)
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return (await session.execute(query)).first() is not None


async def uncounted(session: AsyncSession, most: int, user_id: int | None = None) -> list[UncountedPost]:
    """Some of them, their rows locked; posts that another transaction holds come later."""
    query = (
        select(Post.id, Post.user_id, Post.tags, Post.counted_tags, Post.text_key)
        .where(sql(UNCOUNTED))
        .order_by(Post.id)
        .limit(most)
        .with_for_update(skip_locked=True, of=Post)
    )
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return [
        UncountedPost(
            row.id, row.user_id, tuple(row.tags), tuple(strings_in(row.counted_tags)), row.text_key is not None
        )
        for row in await session.execute(query)
    ]


async def present_users(session: AsyncSession, user_ids: Collection[int]) -> set[int]:
    """Those of the users that the parser has not deleted."""
    return set((await session.execute(select(User.id).where(User.id.in_(sorted(user_ids))))).scalars())


async def mark_counted(session: AsyncSession, post_ids: Collection[int]) -> None:
    statement = update(_POSTS).where(_POSTS.c.id.in_(sorted(post_ids)))
    await session.execute(statement.values(counted_tags=sql_cast(_POSTS.c.tags, Text)))
