"""Settings stored in the database. Nothing here commits."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.administration_tables import StoredSetting


async def load_all(session: AsyncSession) -> dict[str, Any]:
    rows = await session.execute(select(StoredSetting.name, StoredSetting.value))
    return {row.name: row.value for row in rows}


async def save(session: AsyncSession, name: str, value: Any, changed_by: int, now: datetime) -> None:
    values = {"value": value, "changed_by": changed_by, "changed_at": now}
    statement = upsert(session, StoredSetting).values(name=name, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


async def remove(session: AsyncSession, name: str) -> None:
    await session.execute(delete(StoredSetting).where(StoredSetting.name == name))
