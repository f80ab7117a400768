"""Many posts of one channel stored or changed at once."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Table, bindparam, literal, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.locks import locked_posts
from storage.posts.channel_posts import owned_by
from storage.schema import parser_tables
from storage.schema.index_conditions import UNFINISHED
from storage.schema.tables import PERSONAL, Post

_POSTS = cast("Table", Post.__table__)
#: A statement's parameters are limited (SQLite 32,766).
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class StoredText:
    id: int
    message_id: int
    text: str | None
    parsed_at: datetime | None
    gone_at: datetime | None
    text_key: int | None


#: Message number → a user's posts of it: one, or several that a parser stored twice, the oldest first.
Stored = dict[int, list[StoredText]]


async def stored_texts(session: AsyncSession, user_id: int, channel_id: int, message_ids: Sequence[int]) -> Stored:
    found: Stored = {}
    for start in range(0, len(message_ids), CHUNK):
        some = message_ids[start : start + CHUNK]
        is_one = Post.telegram_message_id.in_(some)
        # Without the range PostgreSQL would read all posts of the channel if it lacks statistics.
        found |= await stored_between(session, user_id, channel_id, min(some), max(some), is_one)
    return found


async def insert_posts(session: AsyncSession, rows: Sequence[dict[str, Any]], now: datetime) -> None:
    if not rows:
        return
    statement, neutral = await parser_tables.insert_into(session, Post, rows[0], now=now)
    if session.get_bind().dialect.name == "postgresql":
        # Then SQLAlchemy sends many rows in a statement, and the trigger that wakes the workers runs once for them.
        statement = statement.returning(literal(1))
    await session.execute(statement, [{**neutral, **row} for row in rows])


async def lock_posts(session: AsyncSession, post_ids: Collection[int]) -> None:
    ordered = sorted(post_ids)
    for start in range(0, len(ordered), CHUNK):
        await session.execute(locked_posts(Post.id.in_(ordered[start : start + CHUNK])))


async def set_texts(session: AsyncSession, texts: Iterable[tuple[int, str | None]], now: datetime) -> None:
    """Change texts; a trigger makes the posts pending again and keeps their tags."""
    rows = [{"post": post_id, "new": text} for post_id, text in texts]
    if rows:
        statement = update(_POSTS).where(_POSTS.c.id == bindparam("post"))
        connection = await session.connection()
        await connection.execute(statement.values(text=bindparam("new"), parsed_at=now), rows)


async def set_work_class(session: AsyncSession, post_ids: Collection[int], work_class: int) -> None:
    if post_ids:
        await session.execute(update(_POSTS).where(_POSTS.c.id.in_(post_ids)).values(work_class=work_class))


async def mark_gone(session: AsyncSession, post_ids: Collection[int], now: datetime | None) -> None:
    """Mark posts as deleted in their channel, or as present again with None."""
    if post_ids:
        await session.execute(update(_POSTS).where(_POSTS.c.id.in_(post_ids)).values(gone_at=now))


async def hold_back(session: AsyncSession, edited: Sequence[int], known: Sequence[int], at: datetime) -> int:
    """Leave edited posts of personal chats untagged until their user agrees; and ask again about known ones.

    `at` is the question that they belong to. Returns how many of `known` were held back before.
    """
    values = {"tagging_status": "skipped", "failure_kind": PERSONAL, "skipped_at": at}
    for start in range(0, len(edited), CHUNK):
        await session.execute(update(_POSTS).where(_POSTS.c.id.in_(edited[start : start + CHUNK])).values(**values))
    again = 0
    held = (_POSTS.c.tagging_status == "skipped", _POSTS.c.failure_kind == PERSONAL)
    for start in range(0, len(known), CHUNK):
        some = _POSTS.c.id.in_(known[start : start + CHUNK])
        result = await session.execute(update(_POSTS).where(some, *held).values(skipped_at=at))
        again += cast("CursorResult[Any]", result).rowcount
    return again


async def release(session: AsyncSession, user_id: int, at: datetime, limit: int) -> int:
    """Queue up to `limit` of the posts that were held back `at`; returns how many."""
    held = (Post.tagging_status == "skipped", Post.failure_kind == PERSONAL, Post.skipped_at == at)
    ids = select(Post.id).where(Post.user_id == user_id, sql(UNFINISHED), *held).limit(limit)
    queued = {"tagging_status": "pending", "failure_kind": None, "skipped_at": None}
    statement = update(Post).where(Post.id.in_(ids), *held).values(**queued)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


async def stored_between(
    session: AsyncSession, user_id: int, channel_id: int, low: int, high: int, *conditions: ColumnElement[bool]
) -> Stored:
    columns = (Post.id, Post.telegram_message_id, Post.text, Post.parsed_at, Post.gone_at, Post.text_key)
    query = (
        select(*columns)
        .where(Post.channel_id == channel_id, Post.telegram_message_id.between(low, high), owned_by(user_id))
        .where(*conditions)
        .order_by(Post.id)
    )
    found: Stored = {}
    for row in await session.execute(query):
        found.setdefault(row.telegram_message_id, []).append(StoredText(*row))
    return found
