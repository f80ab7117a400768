"""Posts that came lately and posts that wait, for the plan of a day's quota."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, literal_column, select, true
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.queue.claim import Priority, in_order_of_work, is_due
from storage.schema.index_conditions import QUEUED
from storage.schema.tables import Post, User

_DAY = timedelta(days=1)
_CLASS = func.coalesce(Post.work_class, literal_column("1"))


class WaitingPost(NamedTuple):
    """A due post that nobody asked for, and since when it could go. `is_retry`: after an upstream fault."""

    work_class: int
    since: datetime
    is_retry: bool


@dataclass(frozen=True, slots=True)
class PostCounts:
    """New posts in the last `windows`, today, and on the day before until and after this time of day; waiting posts."""

    lately: tuple[int, ...]
    today: int
    yesterday_until_now: int
    yesterday_from_now: int
    waiting: tuple[WaitingPost, ...]


async def count(
    session: AsyncSession, now: datetime, day_began: datetime, windows: Sequence[timedelta], most_waiting: int
) -> PostCounts:
    """One statement. `most_waiting`: so many of the due posts, in the order of work."""
    rows = (await session.execute(_statement(now, day_began, windows, most_waiting))).all()
    *lately, today, until_now, from_now = (int(number or 0) for number in rows[0][3:])
    # A day without any waiting post still has one row.
    waiting = tuple(
        WaitingPost(row.work_class, row.since, bool(row.after_fault)) for row in rows if row.work_class is not None
    )
    return PostCounts(tuple(lately), today, until_now, from_now, waiting)


def _statement(
    now: datetime, day_began: datetime, windows: Sequence[timedelta], most_waiting: int
) -> Select[*tuple[Any, ...]]:
    waiting, arrivals = _waiting(now, most_waiting), _arrivals(now, day_began, windows)
    return select(*waiting.c, *arrivals.c).select_from(arrivals.outerjoin(waiting, true()))


def _waiting(now: datetime, most: int) -> Subquery:
    """By the queue's index. A post without text needs no request."""
    since = func.coalesce(Post.next_attempt_at, Post.parsed_at, Post.posted_at)
    return (
        select(_CLASS.label("work_class"), since.label("since"), Post.after_fault)
        .where(
            sql(QUEUED),
            func.trim(Post.text) != "",
            literal_column(str(int(Priority.ASKED))) < _CLASS,
            is_due(Post, now),
        )
        .order_by(*in_order_of_work()[:-1])
        .limit(most)
        .subquery()
    )


def _arrivals(now: datetime, day_began: datetime, windows: Sequence[timedelta]) -> Subquery:
    """Each user's newest posts, by the index of their pages; most skipped ones had no text."""
    counted = [
        *(_posted(now - window, now) for window in windows),
        _posted(day_began, now),
        _posted(day_began - _DAY, now - _DAY),
        _posted(now - _DAY, day_began),
    ]
    return (
        select(*(func.sum(case((condition, 1), else_=0)).label(f"n{i}") for i, condition in enumerate(counted)))
        # By user, or SQLite would read all posts.
        .where(Post.user_id.in_(select(User.id)), Post.posted_at > day_began - _DAY, Post.posted_at <= now)
        .where(Post.tagging_status.is_distinct_from("skipped"))
        .subquery()
    )


def _posted(after: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(Post.posted_at > after, Post.posted_at <= until)
