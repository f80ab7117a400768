"""Counts and cards of posts for /stats, /failed and the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Boolean, ColumnElement, Row, Select, func, literal, literal_column, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.queue.claim import due_at
from storage.schema import parser_tables
from storage.schema.index_conditions import QUEUED, TAGGED_UNFINISHED, UNFINISHED
from storage.schema.tables import Attempt, Channel, Post, User

CARD_TEXT = 500
STATUSES = ("pending", "retrying", "success", "failed", "skipped")

#: Unfinished posts by status, and all posts under 'success', from two indexes. Grouped by user, or SQLite would sort.
_COUNT_BY_STATUS = f"""
SELECT status, sum(posts) FROM (
    SELECT tagging_status AS status, count(*) AS posts FROM posts
    WHERE {UNFINISHED} {{of_user}} GROUP BY user_id, tagging_status
) AS unfinished GROUP BY status
UNION ALL SELECT 'success', (SELECT count(*) FROM posts WHERE true {{of_user}})
"""  # noqa: S608 - constants


async def count_by_status(session: AsyncSession, user_id: int | None) -> dict[str | None, int]:
    """Status → number of posts, of one user or (None) of all."""
    of_user = "" if user_id is None else "AND user_id = :user_id"
    given = {} if user_id is None else {"user_id": user_id}
    rows = await session.execute(sql(_COUNT_BY_STATUS.format(of_user=of_user)), given)
    found: dict[str | None, int] = {status: int(posts) for status, posts in rows}
    found["success"] -= sum(posts for status, posts in found.items() if status != "success")
    return {status: posts for status, posts in found.items() if posts}


def unfinished() -> ColumnElement[bool]:
    return literal_column(UNFINISHED)


def by_status(counts: Mapping[str | None, int]) -> dict[str, int]:
    """PURE: counts of exactly STATUSES."""
    known = {status: counts.get(status, 0) for status in STATUSES}
    # A parser's column without a default holds NULL for a new post.
    known["pending"] += counts.get(None, 0)
    return known


async def count_tagged_unfinished(session: AsyncSession, user_id: int | None) -> int:
    """Posts that have tags without being 'success', such as those asked for anew."""
    tagged = literal_column(parser_tables.has_tags(session.get_bind().dialect.name, "posts.tags"), Boolean)
    query = select(func.count()).select_from(Post).where(sql(TAGGED_UNFINISHED), tagged)
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return (await session.execute(query)).scalar_one()


async def next_attempt_at(session: AsyncSession, user_id: int | None, now: datetime) -> datetime | None:
    """When the next queued post becomes due; None if one is due now, or none is queued."""
    conditions: list[Any] = [sql(QUEUED)]
    first: Any = select(Post.next_attempt_at).order_by(due_at(Post)).limit(1)
    # The order makes the database use the index.
    order: tuple[Any, ...] = (due_at(Post),)
    if user_id is not None:
        conditions += [unfinished(), Post.user_id == user_id]
        first = select(func.min(Post.next_attempt_at))
        order = (Post.tagging_status, Post.posted_at)
    is_due = select(literal(1)).where(*conditions, due_at(Post) <= now).order_by(*order).limit(1)
    if (await session.execute(is_due)).first() is not None:
        return None
    return cast("datetime | None", (await session.execute(first.where(*conditions))).scalar_one_or_none())


async def count_queued(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(Post).where(sql(QUEUED)))).scalar_one()


async def count_users(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(User))).scalar_one()


async def find_post(session: AsyncSession, post_id: int, user_id: int | None) -> Row[Any] | None:
    """The card of a user's post (None: of any user)."""
    query = _cards().where(Post.id == post_id)
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return (await session.execute(query)).first()


async def find_posts(session: AsyncSession, post_ids: Sequence[int]) -> list[Row[Any]]:
    """The cards of posts that exist, in this order, of any user."""
    found = {row.id: row for row in await session.execute(_cards().where(Post.id.in_(post_ids)))}
    return [found[post_id] for post_id in post_ids if post_id in found]


async def last_attempts(session: AsyncSession, post_id: int, limit: int) -> list[Attempt]:
    query = select(Attempt).where(Attempt.post_id == post_id).order_by(Attempt.id.desc()).limit(limit)
    return list(reversed((await session.execute(query)).scalars().all()))


async def count_failed(session: AsyncSession, user_id: int) -> int:
    return (await session.execute(select(func.count()).select_from(Post).where(*_failed_of(user_id)))).scalar_one()


async def failed_posts(session: AsyncSession, user_id: int, limit: int, offset: int) -> Sequence[Row[Any]]:
    newest = (Post.posted_at.desc(), Post.id.desc())
    ids = select(Post.id).where(*_failed_of(user_id)).order_by(*newest).limit(limit).offset(offset).subquery()
    query = _cards().join(ids, ids.c.id == Post.id).order_by(*newest)
    return (await session.execute(query)).all()


def _failed_of(user_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Post.user_id == user_id, Post.tagging_status == "failed", unfinished())


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
            Post.gone_at,
        )
        .join(User, User.id == Post.user_id)
        .join(Channel, Channel.id == Post.channel_id)
    )
