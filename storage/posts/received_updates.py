"""Every statement on the inbox: updates that the webhook brought, until they are handled. Nothing here commits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.tables import UpdateRow

#: Notified with each update that is stored (PostgreSQL).
CHANNEL = "metka_updates"


async def store(session: AsyncSession, update_id: int, body: str, now: datetime) -> bool:
    """Keep an update until it is handled, and tell the other processes; False when it came before."""
    new = upsert(session, UpdateRow).values(update_id=update_id, body=body, received_at=now)
    is_new = cast("CursorResult[Any]", await session.execute(new.on_conflict_do_nothing())).rowcount == 1
    if is_new and session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_notify(CHANNEL, "")))
    return is_new


async def waiting(session: AsyncSession, *, limit: int, besides: Collection[int]) -> list[UpdateRow]:
    """Updates that are not handled, other than these; the lowest first."""
    query = (
        select(UpdateRow)
        .where(UpdateRow.handled_at.is_(None), UpdateRow.update_id.not_in(besides))
        .order_by(UpdateRow.update_id)
        .limit(limit)
    )
    return list((await session.execute(query)).scalars())


async def mark_handled(session: AsyncSession, update_ids: Collection[int], now: datetime) -> int:
    """These are handled, and what they said is forgotten; returns how many were not handled before."""
    statement = (
        update(UpdateRow)
        .where(UpdateRow.update_id.in_(update_ids), UpdateRow.handled_at.is_(None))
        .values(body=None, handled_at=now)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


async def prune(session: AsyncSession, before: datetime) -> None:
    """Forget what was handled before then; what waits stays, however old."""
    await session.execute(delete(UpdateRow).where(UpdateRow.handled_at < before))
