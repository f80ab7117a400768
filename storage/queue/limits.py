"""Rate limits and daily quotas, shared by all processes; a lane is the requests that one limit counts together."""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Row, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.tables import RateLimitRow


async def load(session: AsyncSession) -> dict[str, Row[Any]]:
    return {row.lane: row for row in await session.execute(select(RateLimitRow.__table__))}


async def take_slot(session: AsyncSession, lane: str, now: datetime, interval: timedelta) -> bool:
    """Book the lane's next request, one per interval; False if another process was quicker."""
    # A time that no process books: a clock was set back.
    free = or_(RateLimitRow.next_at.is_(None), RateLimitRow.next_at <= now, RateLimitRow.next_at > now + interval * 1.5)
    return await _update(session, lane, free, next_at=now + interval) == 1


async def count(session: AsyncSession, lane: str, day: str, requests: int, *, seen: int | None = None) -> bool:
    """Count requests of a day. `seen`: only if `day_used` is still that; False if another process has counted since."""
    used = case((RateLimitRow.day == day, RateLimitRow.day_used), else_=0) + requests
    unchanged = [] if seen is None else [RateLimitRow.day_used == seen]
    return await _update(session, lane, *unchanged, day=day, day_used=used) == 1


async def learn(session: AsyncSession, lane: str, **values: Any) -> None:
    await _update(session, lane, **values)


async def claim_check(session: AsyncSession, lane: str, now: datetime, before: datetime) -> bool:
    """Whether this process is to ask the provider for the quota: one process does if none has since `before`."""
    stale = or_(RateLimitRow.checked_at.is_(None), RateLimitRow.checked_at < before, RateLimitRow.checked_at > now)
    return await _update(session, lane, stale, checked_at=now) == 1


async def ensure(session: AsyncSession, lanes: list[str]) -> None:
    for lane in sorted(lanes):
        await session.execute(upsert(session, RateLimitRow).values(lane=lane).on_conflict_do_nothing())


async def _update(session: AsyncSession, lane: str, *conditions: ColumnElement[bool], **values: Any) -> int:
    statement = update(RateLimitRow).where(RateLimitRow.lane == lane, *conditions).values(**values)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount
