"""Updates that the webhook received, kept until they are handled."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.tables import ReceivedUpdateRow

CHANNEL = "metka_updates"


async def store(session: AsyncSession, update_id: int, body: str, now: datetime) -> bool:
    """Store an update and notify the other processes; False if it was stored before."""
    new = upsert(session, ReceivedUpdateRow).values(update_id=update_id, body=body, received_at=now)
    is_new = cast("CursorResult[Any]", await session.execute(new.on_conflict_do_nothing())).rowcount == 1
    if is_new and session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_notify(CHANNEL, "")))
    return is_new


async def waiting(session: AsyncSession, *, limit: int, besides: Collection[int]) -> list[ReceivedUpdateRow]:
    query = (
        select(ReceivedUpdateRow)
        .where(ReceivedUpdateRow.handled_at.is_(None), ReceivedUpdateRow.update_id.not_in(besides))
        .order_by(ReceivedUpdateRow.update_id)
        .limit(limit)
    )
    return list((await session.execute(query)).scalars())


async def mark_handled(session: AsyncSession, update_ids: Collection[int], now: datetime) -> int:
    """Mark updates as handled and drop their bodies; returns how many were unhandled."""
    statement = (
        update(ReceivedUpdateRow)
        .where(ReceivedUpdateRow.update_id.in_(update_ids), ReceivedUpdateRow.handled_at.is_(None))
        .values(body=None, handled_at=now)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


async def prune(session: AsyncSession, before: datetime) -> None:
    await session.execute(delete(ReceivedUpdateRow).where(ReceivedUpdateRow.handled_at < before))
