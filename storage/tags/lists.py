"""A user's tags as a person looks at them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.schema.tables import Post
from storage.schema.tag_tables import TagRow


@dataclass(frozen=True, slots=True)
class TagCard:
    id: int
    name: str
    #: Posts that have the tag, under any of its spellings and aliases.
    uses: int
    last_use: datetime | None
    origin: str
    state: str


@dataclass(frozen=True, slots=True)
class PostOfTag:
    id: int
    channel_id: int
    text: str | None
    tags: tuple[str, ...]
    posted_at: datetime
    url: str | None


def _cards(user_id: int, *conditions: ColumnElement[bool]) -> Any:
    alias = aliased(TagRow)
    # Posts that are not rewritten yet are counted under the alias.
    uses = (TagRow.uses + func.coalesce(func.sum(alias.uses), 0)).label("uses")
    return (
        select(TagRow.id, TagRow.name, uses, TagRow.last_use, TagRow.origin, TagRow.state)
        .outerjoin(alias, alias.merged_into == TagRow.id)
        .where(TagRow.user_id == user_id, TagRow.merged_into.is_(None), *conditions)
        .group_by(TagRow.id)
        .order_by(uses.desc(), TagRow.name, TagRow.id)
    )


def _matching(search: str, key: str) -> list[ColumnElement[bool]]:
    """A part of the name, or of the key, in which case, hyphens and spaces do not count."""
    by_name = TagRow.name.contains(search, autoescape=True)
    return [or_(by_name, TagRow.key.contains(key, autoescape=True)) if key else by_name] if search else []


async def cards(
    session: AsyncSession, user_id: int, *, search: str, key: str, offset: int, limit: int
) -> tuple[list[TagCard], int]:
    """A page of the user's tags, the most used first, and how many there are. `key`: of the search."""
    conditions = _matching(search, key)
    rows = await session.execute(_cards(user_id, *conditions).offset(offset).limit(limit))
    total = select(func.count()).where(TagRow.user_id == user_id, TagRow.merged_into.is_(None), *conditions)
    return [TagCard(*row) for row in rows], (await session.execute(total)).scalar_one()


async def card(session: AsyncSession, user_id: int, tag_id: int) -> TagCard | None:
    row = (await session.execute(_cards(user_id, TagRow.id == tag_id))).first()
    return None if row is None else TagCard(*row)


async def tags_of_posts(
    session: AsyncSession, user_id: int, before: tuple[datetime, int] | None, most: int
) -> list[tuple[datetime, int, tuple[str, ...]]]:
    """The user's posts, newest first, after the one named by its time and id: (time, id, tags)."""
    query = select(Post.posted_at, Post.id, Post.tags).where(Post.user_id == user_id, Post.posted_at.is_not(None))
    if before is not None:
        query = query.where(tuple_(Post.posted_at, Post.id) < before)
    rows = await session.execute(query.order_by(Post.posted_at.desc(), Post.id.desc()).limit(most))
    return [(row.posted_at, row.id, tuple(row.tags)) for row in rows]


async def posts_by_id(session: AsyncSession, post_ids: Collection[int]) -> list[PostOfTag]:
    """These posts, the newest first."""
    query = select(Post.id, Post.channel_id, Post.text, Post.tags, Post.posted_at, Post.url)
    query = query.where(Post.id.in_(sorted(post_ids))).order_by(Post.posted_at.desc(), Post.id.desc())
    rows = await session.execute(query)
    return [PostOfTag(row.id, row.channel_id, row.text, tuple(row.tags), row.posted_at, row.url) for row in rows]
