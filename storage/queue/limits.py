"""Every statement on the request budget, which all processes share. Nothing here commits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Row, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.tables import BudgetRow


async def load(session: AsyncSession) -> dict[str, Row[Any]]:
    """Every lane of which anything is known: rows of `BudgetRow`'s columns."""
    return {row.lane: row for row in await session.execute(select(BudgetRow.__table__))}


async def take_slot(session: AsyncSession, lane: str, now: datetime, interval: timedelta) -> bool:
    """Book the lane's next request, one in an interval; False when another process was quicker.

    One compare-and-set statement. A time further ahead than anybody books comes of a clock that was set back.
    """
    free = or_(BudgetRow.next_at.is_(None), BudgetRow.next_at <= now, BudgetRow.next_at > now + interval * 1.5)
    return await _update(session, lane, free, next_at=now + interval) == 1


async def count(session: AsyncSession, lane: str, day: str, requests: int) -> None:
    """So many requests of the lane start on that day (UTC); a negative number: were counted, and do not."""
    is_that_day = BudgetRow.day == day
    if requests >= 0:
        used = case((is_that_day, BudgetRow.day_used), else_=0) + requests
        await _update(session, lane, None, day=day, day_used=used)
    else:
        left = BudgetRow.day_used + requests
        await _update(session, lane, is_that_day, day_used=case((left > 0, left), else_=0))


async def learn(session: AsyncSession, lane: str, **values: Any) -> None:
    """Keep what the provider said of the lane."""
    await _update(session, lane, None, **values)


async def claim_check(session: AsyncSession, lane: str, now: datetime, before: datetime) -> bool:
    """Whether to ask the provider for the quota: True for one process, if nobody has asked since `before`."""
    stale = or_(BudgetRow.checked_at.is_(None), BudgetRow.checked_at < before, BudgetRow.checked_at > now)
    return await _update(session, lane, stale, checked_at=now) == 1


async def ensure(session: AsyncSession, lanes: list[str]) -> None:
    """Make the rows of these lanes; those that exist stay as they are."""
    present = set((await session.execute(select(BudgetRow.lane).where(BudgetRow.lane.in_(lanes)))).scalars())
    for lane in sorted(set(lanes) - present):
        await session.execute(upsert(session, BudgetRow).values(lane=lane).on_conflict_do_nothing())


async def _update(session: AsyncSession, lane: str, condition: Any, **values: Any) -> int:
    statement = update(BudgetRow).where(BudgetRow.lane == lane).values(**values)
    if condition is not None:
        statement = statement.where(condition)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount
