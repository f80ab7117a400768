"""What is known of the models, kept for all processes and over restarts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.locks import lock_number
from storage.schema.tables import UpstreamRow

#: Any constant number, other than the migrations': whoever changes a model's state holds it until the commit.
ADVISORY_LOCK = 0x4D45544B42
_ALL = select(UpstreamRow.__table__)


async def load(session: AsyncSession) -> Sequence[Row[Any]]:
    """Every model of which anything is known: rows of `UpstreamRow`'s columns."""
    return (await session.execute(_ALL)).all()


async def lock(session: AsyncSession) -> None:
    """Let no other process change a model's state before this transaction ends: none may lose another's news.

    On SQLite the transaction itself is the only writer.
    """
    await lock_number(session, ADVISORY_LOCK)


async def start_probe(session: AsyncSession, model: str, now: datetime, until: datetime) -> bool:
    """Reserve the probe of a model for this process; False when another one's is under way."""
    free = or_(UpstreamRow.probe_until.is_(None), UpstreamRow.probe_until <= now)
    statement = update(UpstreamRow).where(UpstreamRow.model == model, free).values(probe_until=until)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount == 1


async def end_probe(session: AsyncSession, model: str) -> None:
    """The probe was not sent after all."""
    statement = update(UpstreamRow).where(UpstreamRow.model == model).values(probe_until=None)
    await session.execute(statement.execution_options(synchronize_session=False))


async def forget_probes(session: AsyncSession) -> None:
    """For SQLite at start, when no other process can have one under way."""
    await session.execute(update(UpstreamRow).values(probe_until=None))


async def reopen(session: AsyncSession, now: datetime) -> None:
    """At a start: what a change of settings may have mended is probed at once, not when its pause ends."""
    mended = UpstreamRow.reason.in_(("account", "forbidden", "gone"))
    await session.execute(update(UpstreamRow).where(mended, UpstreamRow.aside_until > now).values(aside_until=now))


async def save(session: AsyncSession, rows: Iterable[dict[str, Any]]) -> None:
    """Insert or replace the states of models; each row has all of `metka_upstream`'s columns."""
    for row in rows:
        await session.merge(UpstreamRow(**row))
