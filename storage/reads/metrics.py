"""The statements behind the gauges of /metrics: the queue as it stands, in one look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.queue.claim import due_at
from storage.queue.queue import Priority
from storage.schema.index_conditions import LONG_AGO, QUEUED
from storage.schema.tables import Post
from storage.schema.types import UtcDateTime

#: Rows that one statement on SQLite reads at most: everything else in the process waits for it (`storage.db.sqlite`).
PORTION = 1000
#: After every time that can be written.
PAST_ALL = ":"
STATUSES = ("pending", "retrying")


@dataclass(frozen=True, slots=True)
class QueueLook:
    """Status ('pending', 'retrying') → posts due now and since when the oldest is; and how many are in work."""

    due: dict[str, int]
    oldest_due: dict[str, datetime | None]
    leased: int


async def look_at_queue(session: AsyncSession, now: datetime, *, portion: int = PORTION) -> QueueLook:
    """Reads every row whose time has come, and no other: what a process holds no index says."""
    if session.get_bind().dialect.name != "sqlite":
        return _together([(await session.execute(_all_at_once(), {"now": now})).one()])
    return _together([row async for row in _portions(session, now, portion)])


async def _portions(session: AsyncSession, now: datetime, portion: int) -> AsyncIterator[Row[Any]]:
    """The sums of some rows each, in the order of the index on `due_at`: of one time by id, then of later times."""
    at: str | None = LONG_AGO.strip("'")
    given: dict[str, Any] = {"now": now, "portion": portion}
    while at is not None:
        given |= {"at": at, "last": 0}
        read = portion
        while read == portion:
            found = (await session.execute(_of_one_time(), given)).one()
            yield found
            given["last"], read = found.last, found.read
            await asyncio.sleep(0)
        at = (await session.execute(_a_portion_later(), given)).scalar_one_or_none()
        yield (await session.execute(_of_later_times(), {**given, "end": at or PAST_ALL})).one()
        await asyncio.sleep(0)


@cache
def _all_at_once() -> Executable:
    """All that are due at :now."""
    return _sums(_waiting(func.greatest))


@cache
def _of_one_time() -> Executable:
    """Of the rows whose time is :at a :portion, beginning after the id :last."""
    rows = _waiting(func.max).where(_due() == bindparam("at"), Post.id > bindparam("last"))
    return _sums(rows.order_by(Post.id).limit(bindparam("portion")))


@cache
def _a_portion_later() -> Executable:
    """The time of the row that comes a :portion after the first one later than :at; None when there is none."""
    later = select(_due()).where(sql(QUEUED), _due() > bindparam("at"), due_at(Post) <= _now())
    return later.order_by(due_at(Post)).offset(bindparam("portion")).limit(1)


@cache
def _of_later_times() -> Executable:
    """The rows whose time is after :at and before :end."""
    return _sums(_waiting(func.max).where(_due() > bindparam("at"), _due() < bindparam("end")))


def _due() -> ColumnElement[str]:
    """`due_at` as it is written in the file."""
    return type_coerce(due_at(Post), String)


def _now() -> ColumnElement[datetime]:
    return bindparam("now", type_=UtcDateTime)


def _waiting(latest: Any) -> Select[*tuple[Any, ...]]:
    """What matters of the rows that are due at :now. `latest`: the database's function for the latest of some times."""
    # Bulk work waits until all other is done: how long it does says nothing of the queue.
    in_turn = func.coalesce(Post.work_class, literal_column("1")) <= literal_column(str(Priority.RETRY.value))
    return select(
        Post.id,
        Post.tagging_status.is_not_distinct_from("retrying").label("retrying"),
        and_(Post.lease_expires_at.is_not(None), Post.lease_expires_at > _now()).label("held"),
        case((in_turn, _due_since(latest))).label("since"),
    ).where(sql(QUEUED), due_at(Post) <= _now())


def _due_since(latest: Any) -> ColumnElement[datetime]:
    """When a post became due: the time that was set for it, or else the last thing known to have happened to it."""
    known = (Post.requested_at, Post.last_tagging_attempt, Post.parsed_at)
    # SQLite's max is NULL when any of them is.
    return func.coalesce(Post.next_attempt_at, latest(*(func.coalesce(time, Post.posted_at) for time in known)))


def _sums(rows: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """One row for all of them. Without GROUP BY, for which SQLite would sort them: that takes three times as long."""
    part = rows.subquery()
    columns: list[ColumnElement[Any]] = [
        func.count().label("read"),
        func.max(part.c.id).label("last"),
        func.count(case((part.c.held, 1))).label("held"),
    ]
    for status, is_of in zip(STATUSES, (~part.c.retrying, part.c.retrying), strict=True):
        due = and_(is_of, ~part.c.held)
        columns.append(func.count(case((due, 1))).label(status))
        columns.append(type_coerce(func.min(case((due, part.c.since))), UtcDateTime).label(f"{status}_since"))
    return select(*columns).select_from(part)


def _together(sums: Iterable[Row[Any]]) -> QueueLook:
    found = [row._mapping for row in sums]
    return QueueLook(
        due={status: sum(row[status] for row in found) for status in STATUSES},
        oldest_due={
            status: min((row[f"{status}_since"] for row in found if row[f"{status}_since"]), default=None)
            for status in STATUSES
        },
        leased=sum(row["held"] for row in found),
    )
