"""Imports of exported files and their positions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.source_tables import ImportRow


async def find_unfinished(session: AsyncSession, user_id: int, fingerprint: str) -> ImportRow | None:
    """The user's last unfinished import of this file by the command line."""
    query = (
        select(ImportRow)
        .where(
            ImportRow.user_id == user_id,
            ImportRow.fingerprint == fingerprint,
            ImportRow.finished_at.is_(None),
            ImportRow.file_id.is_(None),
        )
        .order_by(ImportRow.id.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def find_received(session: AsyncSession) -> Sequence[ImportRow]:
    query = select(ImportRow).where(ImportRow.finished_at.is_(None), ImportRow.file_id.is_not(None))
    return (await session.execute(query.order_by(ImportRow.id))).scalars().all()


async def find(session: AsyncSession, import_id: int, telegram_id: int) -> ImportRow | None:
    query = select(ImportRow).where(ImportRow.id == import_id, ImportRow.telegram_id == telegram_id)
    return (await session.execute(query)).scalar_one_or_none()


async def add(session: AsyncSession, row: ImportRow) -> ImportRow:
    session.add(row)
    await session.flush()
    return row


async def take(session: AsyncSession, import_id: int, position: int) -> bool:
    """Lock the import; False if another process has moved it on from `position`."""
    query = select(ImportRow.id).where(ImportRow.id == import_id, ImportRow.position == position)
    return (await session.execute(query.with_for_update())).first() is not None


async def advance(session: AsyncSession, import_id: int, position: int, counts: Mapping[str, Any]) -> None:
    statement = update(ImportRow).where(ImportRow.id == import_id).values(position=position, counts=dict(counts))
    await session.execute(statement.execution_options(synchronize_session=False))


async def finish(session: AsyncSession, import_id: int, now: datetime, error: str | None) -> None:
    statement = (
        update(ImportRow)
        .where(ImportRow.id == import_id, ImportRow.finished_at.is_(None))
        .values(finished_at=now, error=error)
    )
    await session.execute(statement.execution_options(synchronize_session=False))
