"""The administrators' journal. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.administration_tables import AdminAction


async def note(
    session: AsyncSession, telegram_id: int, action: str, details: dict[str, Any] | None, now: datetime
) -> None:
    await session.execute(insert(AdminAction).values(telegram_id=telegram_id, action=action, details=details, at=now))


async def newest(session: AsyncSession, limit: int, offset: int) -> Sequence[AdminAction]:
    query = select(AdminAction).order_by(AdminAction.id.desc()).limit(limit).offset(offset)
    return (await session.execute(query)).scalars().all()
