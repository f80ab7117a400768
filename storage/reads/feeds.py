"""The secrets of feed links."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.source_tables import FeedRow
from storage.schema.tables import User


async def secret_of(session: AsyncSession, user_id: int, telegram_id: int) -> str | None:
    query = select(FeedRow.secret).where(FeedRow.user_id == user_id, FeedRow.telegram_id == telegram_id)
    return (await session.execute(query)).scalar_one_or_none()


async def set_secret(session: AsyncSession, user_id: int, telegram_id: int, secret: str, now: datetime) -> None:
    await session.merge(FeedRow(user_id=user_id, telegram_id=telegram_id, secret=secret, created_at=now))


async def beginning_with(session: AsyncSession, beginning: str) -> Sequence[Row[Any]]:
    """Secrets with this beginning: secret, created_at, users.id, Telegram id."""
    begins = func.substr(FeedRow.secret, 1, len(beginning)) == beginning
    query = select(FeedRow.secret, FeedRow.created_at, User.id, User.telegram_id).join(User, _is_theirs()).where(begins)
    return cast("Sequence[Row[Any]]", (await session.execute(query)).all())


def _is_theirs() -> ColumnElement[bool]:
    return and_(FeedRow.user_id == User.id, FeedRow.telegram_id == User.telegram_id)
