"""The statement behind the gauges of /metrics: the queue as it stands, in one look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal_column, select, type_coerce
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.conditions import QUEUED
from storage.models import Post
from storage.queue import Priority
from storage.turns import is_due
from storage.types import UtcDateTime


@dataclass(frozen=True, slots=True)
class QueueLook:
    """Status ('pending', 'retrying') → posts due now and since when the oldest is; and how many are in work."""

    due: dict[str, int]
    oldest_due: dict[str, datetime | None]
    leased: int


async def look_at_queue(session: AsyncSession, now: datetime) -> QueueLook:
    """Reads every row that waits, and no other.

    Without GROUP BY, for which SQLite would sort them: that takes three times as long.
    """
    is_retrying = Post.tagging_status.is_not_distinct_from("retrying")
    parts = {"pending": ~is_retrying, "retrying": is_retrying}
    due, since = is_due(Post, now), _due_since(session.get_bind().dialect.name == "sqlite")
    # Bulk work waits until all other is done: how long it does says nothing of the queue.
    in_turn = func.coalesce(Post.work_class, literal_column("1")) <= Priority.RETRY.value
    columns: list[ColumnElement[Any]] = [func.count(case((Post.lease_expires_at > now, 1)))]
    for part in parts.values():
        columns.append(func.count(case((and_(part, due), 1))))
        columns.append(type_coerce(func.min(case((and_(part, due, in_turn), since))), UtcDateTime))
    leased, *found = (await session.execute(select(*columns).where(sql(QUEUED)))).one()
    return QueueLook(
        due=dict(zip(parts, found[0::2], strict=True)),
        oldest_due=dict(zip(parts, found[1::2], strict=True)),
        leased=leased,
    )


def _due_since(is_sqlite: bool) -> ColumnElement[datetime]:
    """When a post became due: the time that was set for it, or else the last thing known to have happened to it."""
    known = (Post.requested_at, Post.last_tagging_attempt, Post.parsed_at)
    latest = func.max if is_sqlite else func.greatest
    # SQLite's max is NULL when any of them is.
    return func.coalesce(Post.next_attempt_at, latest(*(func.coalesce(time, Post.posted_at) for time in known)))
