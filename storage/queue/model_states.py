"""The models' circuit breakers, shared by all processes and kept over restarts."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Row, and_, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.locks import lock_number
from storage.schema.tables import ModelStateRow

#: Any constant number but the migrations'; a transaction that changes a model's state holds it.
ADVISORY_LOCK = 0x4D45544B42


async def load(session: AsyncSession) -> Sequence[Row[Any]]:
    return (await session.execute(select(ModelStateRow.__table__))).all()


async def lock(session: AsyncSession) -> None:
    """Keep other processes from changing models' states until this transaction ends."""
    await lock_number(session, ADVISORY_LOCK)


async def start_probe(session: AsyncSession, model: str, now: datetime, until: datetime) -> bool:
    """Reserve the probe of a model; False if another process has reserved it."""
    free = or_(ModelStateRow.probe_until.is_(None), ModelStateRow.probe_until <= now)
    statement = update(ModelStateRow).where(ModelStateRow.model == model, free).values(probe_until=until)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount == 1


async def end_probe(session: AsyncSession, model: str) -> None:
    statement = update(ModelStateRow).where(ModelStateRow.model == model).values(probe_until=None)
    await session.execute(statement.execution_options(synchronize_session=False))


async def forget_probes(session: AsyncSession) -> None:
    """Drop all reservations: on SQLite at start no other process can have one."""
    await session.execute(update(ModelStateRow).values(probe_until=None))


async def reopen(session: AsyncSession, now: datetime) -> None:
    """At a start: probe at once what new settings may have fixed (key, access, model name)."""
    mended = ModelStateRow.reason.in_(("account", "forbidden", "gone"))
    await session.execute(update(ModelStateRow).where(mended, ModelStateRow.aside_until > now).values(aside_until=now))


async def probe_down(session: AsyncSession, models: Collection[str], now: datetime) -> None:
    """End the pauses of models that are down, so that they are probed at once, even beside a probe that hangs."""
    down = and_(ModelStateRow.model.in_(models), ModelStateRow.reason == "down", ModelStateRow.aside_until.is_not(None))
    until = case((ModelStateRow.aside_until > now, now), else_=ModelStateRow.aside_until)
    await session.execute(update(ModelStateRow).where(down).values(aside_until=until, probe_until=None))


async def save(session: AsyncSession, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        await session.merge(ModelStateRow(**row))
