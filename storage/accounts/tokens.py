"""Tokens of the HTTP API."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Row, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import TokenRow, User


async def owner_of(session: AsyncSession, token_hash: str) -> Row[Any] | None:
    """users.id and Telegram id of the token's owner."""
    query = select(User.id, User.telegram_id).join(TokenRow, _is_theirs()).where(TokenRow.token_hash == token_hash)
    return cast("Row[Any] | None", (await session.execute(query)).first())


async def listed(session: AsyncSession) -> Sequence[Row[Any]]:
    query = (
        select(TokenRow.id, TokenRow.prefix, TokenRow.created_at, User.telegram_id, User.username, User.first_name)
        .join(User, _is_theirs())
        .order_by(TokenRow.id)
    )
    return cast("Sequence[Row[Any]]", (await session.execute(query)).all())


async def revoke(session: AsyncSession, token_id: int) -> bool:
    result = await session.execute(delete(TokenRow).where(TokenRow.id == token_id))
    return cast("CursorResult[Any]", result).rowcount == 1


def _is_theirs() -> ColumnElement[bool]:
    return and_(TokenRow.user_id == User.id, TokenRow.telegram_id == User.telegram_id)
