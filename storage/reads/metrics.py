"""The state of the queue for /metrics."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal_column, select, type_coerce
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.queue.claim import Priority, due_at
from storage.schema.index_conditions import QUEUED
from storage.schema.tables import Post
from storage.schema.types import UtcDateTime

STATUSES = ("pending", "retrying")


@dataclass(frozen=True, slots=True)
class QueueLook:
    """Per status: posts due now, and since when the oldest is due. `leased`: posts in work."""

    due: dict[str, int]
    oldest_due: dict[str, datetime | None]
    leased: int


async def look_at_queue(session: AsyncSession, now: datetime) -> QueueLook:
    query = _look(session.get_bind().dialect.name, now)
    found = (await session.execute(query)).mappings().one()
    return QueueLook(
        due={status: found[status] for status in STATUSES},
        oldest_due={status: found[f"{status}_since"] for status in STATUSES},
        leased=found["leased"],
    )


def _look(dialect: str, now: datetime) -> Select[*tuple[Any, ...]]:
    # Bulk work waits for all other work: its age says nothing about the queue.
    in_turn = func.coalesce(Post.work_class, literal_column("1")) <= literal_column(str(Priority.RETRY.value))
    part = (
        select(
            Post.tagging_status.is_not_distinct_from("retrying").label("retrying"),
            and_(Post.lease_expires_at.is_not(None), Post.lease_expires_at > now).label("leased"),
            case((in_turn, _due_since(func.max if dialect == "sqlite" else func.greatest))).label("since"),
        )
        .where(sql(QUEUED), due_at(Post) <= now)
        .subquery()
    )
    columns: list[ColumnElement[Any]] = [func.count(case((part.c.leased, 1))).label("leased")]
    # Without GROUP BY, for which SQLite would sort the rows: that takes three times as long.
    for status, is_of in zip(STATUSES, (~part.c.retrying, part.c.retrying), strict=True):
        due = and_(is_of, ~part.c.leased)
        columns.append(func.count(case((due, 1))).label(status))
        columns.append(type_coerce(func.min(case((due, part.c.since))), UtcDateTime).label(f"{status}_since"))
    return select(*columns).select_from(part)


def _due_since(latest: Any) -> ColumnElement[datetime]:
    """When a post became due: the time set for it, else its last known event."""
    known = (Post.requested_at, Post.last_tagging_attempt, Post.parsed_at)
    # SQLite's max is NULL when any of them is.
    return func.coalesce(Post.next_attempt_at, latest(*(func.coalesce(time, Post.posted_at) for time in known)))
