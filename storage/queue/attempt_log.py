"""The log of requests and attempts (`metka_attempts`), and what it says of the provider."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Table, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import Attempt, Post

#: Not the mapped class: the mapper's bulk insert costs half as much again as the statement.
_ATTEMPTS = cast("Table", Attempt.__table__)


async def log_attempts(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    if rows:
        await session.execute(insert(_ATTEMPTS), rows)


async def ended_lately(session: AsyncSession, since: datetime, until: datetime) -> list[tuple[str, str, int]]:
    """Attempts that ended in [since, until): (ended, outcome, count)."""
    query = (
        select(Attempt.ended, Attempt.outcome, func.count())
        .where(Attempt.ended.is_not(None), Attempt.at >= since, Attempt.at < until)
        .group_by(Attempt.ended, Attempt.outcome)
    )
    return [(ended or "", outcome, count) for ended, outcome, count in await session.execute(query)]


async def last_success_at(session: AsyncSession) -> datetime | None:
    return (await session.execute(select(func.max(Attempt.at)).where(Attempt.outcome == "tagged"))).scalar_one_or_none()


async def others_failed(session: AsyncSession, outcomes: Sequence[str], since: datetime | None) -> bool:
    """Whether posts that are not suspect had one of these outcomes since then."""
    query = select(literal(1)).select_from(Attempt).join(Post, Post.id == Attempt.post_id)
    query = query.where(Attempt.outcome.in_(outcomes), Post.suspect.is_not(True))
    if since is not None:
        query = query.where(Attempt.at > since)
    return (await session.execute(query.limit(1))).first() is not None


async def prune_attempts(session: AsyncSession, before: datetime, limit: int) -> int:
    oldest = select(Attempt.id).where(Attempt.at < before).order_by(Attempt.at).limit(limit)
    result = await session.execute(
        delete(Attempt).where(Attempt.id.in_(oldest)).execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", result).rowcount
