"""Statements that only read: counts, posts, pages of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Row, Select, func, literal_column, or_, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage import legacy
from storage.models import QUEUED, Attempt, Channel, Post, User

#: How much of a post's text a card needs.
CARD_TEXT = 500
STATUSES = ("pending", "retrying", "success", "failed", "skipped")


async def count_by_status(session: AsyncSession, user_id: int | None) -> dict[str | None, int]:
    """Status → posts, of one user or of all; from the index alone, in its own order."""
    # Counted by user first: SQLite then needs no sorting, and reads no row.
    grouped = select(Post.tagging_status.label("status"), func.count().label("posts")).group_by(
        Post.user_id, Post.tagging_status
    )
    if user_id is not None:
        grouped = grouped.where(Post.user_id == user_id)
    part = grouped.subquery()
    rows = await session.execute(select(part.c.status, func.sum(part.c.posts)).group_by(part.c.status))
    return {status: int(posts) for status, posts in rows}


def by_status(counts: Mapping[str | None, int]) -> dict[str, int]:
    """PURE: the same with every status of ours, and none besides."""
    known = {status: counts.get(status, 0) for status in STATUSES}
    # A column that a parser made without a default says NULL for a post that is new.
    known["pending"] += counts.get(None, 0)
    return known


async def count_tagged_unfinished(session: AsyncSession, user_id: int | None) -> int:
    """Posts that have tags without being 'success': asked for anew, say. The rows of the many others stay unread."""
    tagged = literal_column(legacy.has_tags(session.get_bind().dialect.name, "posts.tags"), Boolean)
    unfinished = ("pending", "retrying", "failed", "skipped")
    query = (
        select(func.count())
        .select_from(User)
        .join(Post, Post.user_id == User.id)
        .where(or_(Post.tagging_status.in_(unfinished), Post.tagging_status.is_(None)))
        .where(Post.tags.is_not(None), tagged)
    )
    if user_id is not None:
        query = query.where(User.id == user_id)
    return (await session.execute(query)).scalar_one()


async def next_attempt_at(session: AsyncSession, user_id: int | None, now: datetime) -> datetime | None:
    """When the next waiting post becomes due; None when one is due now, or none waits."""
    queued: list[Any] = [sql(QUEUED)]
    if user_id is not None:
        queued.append(Post.user_id == user_id)
    due = or_(Post.next_attempt_at.is_(None), Post.next_attempt_at <= now)
    if (await session.execute(select(Post.id).where(*queued, due).limit(1))).first() is not None:
        return None
    return (await session.execute(select(func.min(Post.next_attempt_at)).where(*queued))).scalar_one()


async def count_queued(session: AsyncSession) -> int:
    """How many posts of everybody's are in the queue; from a partial index of its size."""
    return (await session.execute(select(func.count()).select_from(Post).where(sql(QUEUED)))).scalar_one()


async def count_users(session: AsyncSession) -> int:
    """How many users there are."""
    return (await session.execute(select(func.count()).select_from(User))).scalar_one()


async def find_post(session: AsyncSession, post_id: int, user_id: int | None) -> Row[Any] | None:
    """The columns of a card, of a post of that user's (None: anybody's)."""
    query = _cards().where(Post.id == post_id)
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return (await session.execute(query)).first()


async def last_attempts(session: AsyncSession, post_id: int, limit: int) -> list[Attempt]:
    """A post's last attempts, the oldest first."""
    query = select(Attempt).where(Attempt.post_id == post_id).order_by(Attempt.id.desc()).limit(limit)
    return list(reversed((await session.execute(query)).scalars().all()))


async def count_failed(session: AsyncSession, user_id: int) -> int:
    """How many failed posts a user has."""
    query = select(func.count()).select_from(Post).where(Post.user_id == user_id, Post.tagging_status == "failed")
    return (await session.execute(query)).scalar_one()


async def failed_posts(session: AsyncSession, user_id: int, limit: int, offset: int) -> Sequence[Row[Any]]:
    """A page of a user's failed posts, the newest first."""
    query = (
        _cards()
        .where(Post.user_id == user_id, Post.tagging_status == "failed")
        .order_by(Post.posted_at.desc(), Post.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return (await session.execute(query)).all()


def _cards() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Post.id,
            Post.user_id,
            User.telegram_id,
            Channel.channel_title,
            Channel.channel_username,
            Channel.channel_id,
            func.substr(Post.text, 1, CARD_TEXT).label("text"),
            Post.url,
            Post.posted_at,
            Post.tags,
            Post.tagging_status,
            Post.tagging_attempts,
            Post.tagging_error,
            Post.next_attempt_at,
            Post.requested_at,
            Post.failure_kind,
            Post.skipped_at,
            Post.lease_expires_at,
        )
        .join(User, User.id == Post.user_id)
        .join(Channel, Channel.id == Post.channel_id)
    )
