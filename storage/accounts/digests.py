"""Who gets a digest, and until when theirs have covered. Nothing here commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import OutboxRow, Person


async def subscribers(session: AsyncSession) -> Sequence[Person]:
    """Everybody who wants a digest and can be written to."""
    query = select(Person).where(Person.digest.is_not(None), Person.reachable.is_not(False))
    return (await session.execute(query.order_by(Person.telegram_id))).scalars().all()


async def advance(session: AsyncSession, telegram_id: int, until: datetime) -> bool:
    """Note that the digests cover the time until then; False if they do already, by another process."""
    is_new = or_(Person.digest_at.is_(None), Person.digest_at < until)
    statement = update(Person).where(Person.telegram_id == telegram_id, Person.digest.is_not(None), is_new)
    result = await session.execute(statement.values(digest_at=until).execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount == 1


async def put(
    session: AsyncSession, telegram_id: int, since: datetime, until: datetime, every: str, now: datetime
) -> None:
    """Queue a digest; its text is written when it is sent."""
    payload = {"since": since.isoformat(), "until": until.isoformat(), "every": every}
    row = {"kind": "digest", "telegram_id": telegram_id, "payload": payload, "created_at": now, "ready_at": now}
    await session.execute(insert(OutboxRow).values(**row))
