"""Statements behind the HTTP API's lists: users, channels, tags, and pages of posts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, Select, String, and_, func, literal, literal_column, or_, select, tuple_
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage import legacy
from storage.models import Channel, Post, User, UserChannel
from storage.types import UtcDateTime


async def begin_view(session: AsyncSession) -> None:
    """Every statement after this one sees the rows as they are now; on SQLite they do in any transaction."""
    if session.get_bind().dialect.name == "postgresql":
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def user_exists(session: AsyncSession, user_id: int) -> bool:
    """Whether there is such a row of users."""
    return (await session.execute(select(User.id).where(User.id == user_id))).first() is not None


async def users(session: AsyncSession, after: int, limit: int, only: int | None) -> Sequence[User]:
    """Users by id, from beyond `after`; `only` that one, unless None."""
    query = select(User).where(User.id > after).order_by(User.id).limit(limit)
    if only is not None:
        query = query.where(User.id == only)
    return (await session.execute(query)).scalars().all()


async def channels(session: AsyncSession, user_id: int) -> Sequence[Row[Any]]:
    """Channels that a user follows or has posts of, with how many."""
    counted = (
        select(Post.channel_id, func.count().label("posts"))
        .where(Post.user_id == user_id)
        .group_by(Post.channel_id)
        .subquery()
    )
    query = (
        select(
            Channel.id,
            Channel.channel_username,
            Channel.channel_id,
            Channel.channel_title,
            UserChannel.is_active,
            UserChannel.last_parsed_at,
            func.coalesce(counted.c.posts, 0).label("posts"),
        )
        .outerjoin(counted, counted.c.channel_id == Channel.id)
        .outerjoin(UserChannel, (UserChannel.channel_id == Channel.id) & (UserChannel.user_id == user_id))
        .where(or_(counted.c.posts.is_not(None), UserChannel.user_id.is_not(None)))
        .order_by(Channel.id)
    )
    return cast("Sequence[Row[Any]]", (await session.execute(query)).all())


async def tag_counts(session: AsyncSession, user_id: int, limit: int) -> Sequence[Row[Any]]:
    """A user's tags with how many posts have each, the most frequent first."""
    elements = legacy.tag_elements(session.get_bind().dialect.name, "posts.tags")
    query = sql(
        f"SELECT tag, count(*) AS posts FROM (SELECT DISTINCT posts.id, {elements.value} AS tag"  # noqa: S608 - no input
        f" FROM posts, {elements.source} WHERE posts.user_id = :user_id AND {elements.is_tag})"
        " AS found GROUP BY tag ORDER BY posts DESC, tag LIMIT :limit"
    )
    rows = await session.execute(query, {"user_id": user_id, "limit": limit})
    return rows.all()


async def posts(
    session: AsyncSession,
    user_id: int,
    *,
    status: str | None,
    tag: str | None,
    before: tuple[datetime, int | None] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """A page of a user's posts, the newest first: from before a time, or from behind that time's post of an id.

    On SQLite a time is a text, and the order is that of texts: where rows of one day are written in different ways
    (`2026-01-05 12:00:00.000000` is ours), it is not that of the times within the day. A time compares right with
    all of them (one with an offset to the millisecond), but the pages behind that page follow the order.
    """
    query = _posts().where(Post.user_id == user_id).order_by(Post.posted_at.desc(), Post.id.desc()).limit(limit)
    if status is not None:
        is_status = Post.tagging_status == status
        # What a parser's own column without a default says of a new post.
        query = query.where(or_(is_status, Post.tagging_status.is_(None)) if status == "pending" else is_status)
    if tag is not None:
        elements = legacy.tag_elements(session.get_bind().dialect.name, "posts.tags")
        query = query.where(
            sql(
                f"EXISTS (SELECT 1 FROM {elements.source} WHERE {elements.value} = :tag AND {elements.is_tag})"  # noqa: S608
            ).bindparams(tag=tag)
        )
    if before is not None:
        query = query.where(_is_before(user_id, *before, session.get_bind().dialect.name))
    return (await session.execute(query)).all()


def _is_before(user_id: int, at: datetime, post_id: int | None, dialect: str) -> Any:
    moment = literal(at, UtcDateTime)
    if post_id is None:
        return _is_earlier_text(at) if dialect == "sqlite" else Post.posted_at < moment
    # The row's own text, where the row is still there: on SQLite another program may have written the same time
    # in other words, which would not be equal to ours. Of no other user's row: pages would tell that it exists.
    own = select(Post.posted_at).where(Post.id == post_id, Post.user_id == user_id).scalar_subquery()
    return tuple_(Post.posted_at, Post.id) < tuple_(func.coalesce(own, moment), literal(post_id))


def _is_earlier_text(at: datetime) -> Any:
    """Whether a time, in whatever words SQLite holds it, is before another; what is unreadable goes by its text."""
    words = "replace(posts.posted_at, 'T', ' ')"
    # With a fraction of six digits, as ours; an offset or a date alone is left to SQLite, which knows milliseconds.
    padded = f"substr({words} || substr('.000000', length({words}) - 18), 1, 26)"
    is_plain = (
        f"{padded} GLOB '????-??-?? ??:??:??.[0-9][0-9][0-9][0-9][0-9][0-9]' AND length({words}) BETWEEN 19 AND 26"
    )
    understood = "strftime('%Y-%m-%d %H:%M:%f', posts.posted_at) || '000'"
    normal = f"coalesce(CASE WHEN {is_plain} THEN {padded} ELSE {understood} END, posts.posted_at)"
    # The index finds what is before a later day: no offset and no other words lead further. The rest is looked at.
    return and_(
        Post.posted_at < literal((at + timedelta(days=2)).date().isoformat(), String),
        literal_column(normal, String) < literal(at, UtcDateTime),
    )


async def post(session: AsyncSession, post_id: int, user_id: int | None) -> Row[Any] | None:
    """One post, of that user (None: anybody's)."""
    query = _posts().where(Post.id == post_id)
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return (await session.execute(query)).first()


async def count_needing_retry(session: AsyncSession, user_id: int, max_attempts: int) -> int:
    """Posts whose last attempt failed and that have attempts left."""
    query = (
        select(func.count())
        .select_from(Post)
        .where(Post.user_id == user_id, Post.tagging_status.in_(("failed", "retrying")))
        .where(func.coalesce(Post.tagging_attempts, 0) < max_attempts)
    )
    return (await session.execute(query)).scalar_one()


def _posts() -> Select[*tuple[Any, ...]]:
    return select(
        Post.id,
        Post.user_id,
        Post.channel_id,
        Post.telegram_message_id,
        Post.text,
        Post.url,
        Post.posted_at,
        Post.tags,
        Post.tagging_status,
        Post.tagging_attempts,
        Post.last_tagging_attempt,
        Post.tagging_error,
    )
