"""What a digest tells of a user's posts. Posts that were deleted in their channel are left out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.reads.overview import CARD_TEXT, unfinished
from storage.schema.tables import Attempt, Post


async def posts(
    session: AsyncSession, user_id: int, since: datetime, until: datetime, limit: int
) -> Sequence[Row[Any]]:
    """The newest posts of the period, without their texts."""
    query: Select[*tuple[Any, ...]] = select(Post.id, Post.tags, Post.text_key).where(_posted(user_id, since, until))
    return (await session.execute(query.order_by(Post.posted_at.desc(), Post.id.desc()).limit(limit))).all()


async def count_posts(session: AsyncSession, user_id: int, since: datetime, until: datetime) -> int:
    return (await session.execute(select(func.count()).where(_posted(user_id, since, until)))).scalar_one()


async def beginnings(session: AsyncSession, post_ids: Sequence[int]) -> dict[int, Row[Any]]:
    query = select(Post.id, Post.url, func.substr(Post.text, 1, CARD_TEXT).label("text")).where(Post.id.in_(post_ids))
    return {row.id: row for row in await session.execute(query)}


async def count_failed(session: AsyncSession, user_id: int, since: datetime, until: datetime) -> int:
    """Posts that failed in the period and have not been tagged since."""
    in_period = and_(Post.last_tagging_attempt >= since, Post.last_tagging_attempt < until)
    query = select(func.count()).where(Post.user_id == user_id, Post.tagging_status == "failed", unfinished())
    return (await session.execute(query.where(in_period))).scalar_one()


async def count_requests(session: AsyncSession, user_id: int, since: datetime, until: datetime) -> int:
    query = select(func.count(Attempt.request_id.distinct())).join(Post, Post.id == Attempt.post_id)
    in_period = and_(Attempt.at >= since, Attempt.at < until)
    return (await session.execute(query.where(in_period, Post.user_id == user_id))).scalar_one()


def _posted(user_id: int, since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(Post.user_id == user_id, Post.posted_at >= since, Post.posted_at < until, Post.gone_at.is_(None))
