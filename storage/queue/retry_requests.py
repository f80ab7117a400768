"""Requests of people to the queue: new tags, a retry run, its stop, a skip."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.locks import locked_posts
from storage.queue.claim import Priority, in_order_of_work, is_due
from storage.schema.index_conditions import QUEUED, TROUBLED, UNFINISHED
from storage.schema.tables import Post, RetryRun, RetryRunPost

#: A text that gave orders to a model stays marked.
_MARK_OF_ORDERS = case((Post.attempt_trail["gave_orders"].as_boolean(), Post.attempt_trail), else_=null())
#: Of a post that a person asked for. Without the lease, since a late result would be older than the request.
_DUE: dict[str, Any] = {
    "lease_token": None,
    "lease_expires_at": None,
    "next_attempt_at": None,
    "attempt_trail": _MARK_OF_ORDERS,
    "waits_for_upstream": None,
    "after_fault": None,
}
_ANEW: dict[str, Any] = {
    **_DUE,
    "tagging_attempts": 0,
    "failure_kind": None,
    "nightly_retries": None,
    "suspect": None,
}
RETRYABLE = ("pending", "retrying", "failed")
NIGHTS = 3


@dataclass(frozen=True, slots=True)
class RetryRunCounts:
    """The posts of a /retry now. `open`: waiting, and not tried since the /retry."""

    total: int
    success: int
    failed: int
    waiting: int
    in_work: int
    open: int


def _has_text() -> ColumnElement[bool]:
    return and_(Post.text.is_not(None), func.trim(Post.text) != "")


def _free(now: datetime) -> ColumnElement[bool]:
    """Not in a request, which would be paid for twice."""
    return or_(Post.lease_expires_at.is_(None), Post.lease_expires_at <= now)


async def is_queued(session: AsyncSession, post_id: int) -> bool:
    status = (await session.execute(select(Post.tagging_status).where(Post.id == post_id))).scalar_one_or_none()
    return status in {None, "pending", "retrying"}


async def ask_anew(session: AsyncSession, post_id: int, now: datetime) -> None:
    """Ask for new tags, ahead of all other work; the old ones stay until then."""
    await _update(
        session,
        and_(Post.id == post_id, _free(now)),
        {
            **_ANEW,
            "tagging_status": "pending",
            "requested_at": now,
            "work_class": Priority.ASKED,
            "skipped_at": None,
            "wants_new": True,
        },
    )


async def ask_again(
    session: AsyncSession, posts: Sequence[int], user_id: int | None, now: datetime, *, force: bool
) -> int:
    """Ask for one more attempt at unfinished posts, ahead of all other work; `force` resets their attempts."""
    unfinished = or_(
        Post.tagging_status.in_(RETRYABLE),
        and_(Post.tagging_status == "success", Post.tagging_error.is_not(None)),
    )
    condition = and_(Post.id.in_(posts), unfinished, _free(now))
    if user_id is not None:
        condition = and_(condition, Post.user_id == user_id)
    # A failed request for new tags stays one when it is repeated.
    anew = or_(Post.wants_new.is_(True), Post.tagging_status == "success") if not force else True
    values = {"tagging_status": "pending", "requested_at": now, "work_class": Priority.ASKED, "wants_new": anew}
    return await _update(session, condition, {**(_ANEW if force else _DUE), **values})


async def ask_for_waiting(session: AsyncSession, user_id: int, limit: int, now: datetime) -> int:
    """Put a user's newest due posts ahead of all other work, except backfill; returns how many."""
    fresh = and_(Post.work_class.is_distinct_from(Priority.ASKED), func.coalesce(Post.work_class, 1) <= Priority.BULK)
    ids = (
        select(Post.id)
        .where(Post.user_id == user_id, sql(QUEUED), sql(UNFINISHED))
        .where(fresh, is_due(Post, now), _has_text())
        .order_by(Post.posted_at.desc(), Post.id.desc())
        .limit(limit)
    )
    return await _update(session, and_(Post.id.in_(ids), _free(now)), {"work_class": Priority.ASKED})


async def start_run(
    session: AsyncSession, *, user_id: int | None, telegram_id: int | None, limit: int, force: bool, now: datetime
) -> tuple[int | None, int]:
    """Queue up to `limit` posts that lack tags: failed first, then retrying, then pending; the newest first.

    Returns the run's id (None without a `telegram_id` or posts) and the number of posts.
    """
    found: list[Row[Any]] = []
    for status in ("failed", "retrying", "pending"):
        found += (await session.execute(_retryable(status, user_id, limit - len(found), now))).all()
    if not found:
        return None, 0
    run_id = await _insert_run(session, found, telegram_id, now) if telegram_id is not None else None
    ids = [row.id for row in found]
    failed = [row.id for row in found if row.tagging_status == "failed"]
    due = {**_ANEW, "wants_new": True} if force else _DUE
    # A post may have been claimed or tagged since.
    still = and_(Post.tagging_status.in_(RETRYABLE), _free(now))
    all_due = due if force else {"next_attempt_at": None, "waits_for_upstream": None}
    await _update(session, and_(Post.id.in_(ids), still), all_due)
    anew = {**due, "tagging_status": "pending", "work_class": Priority.BULK}
    await _update(session, and_(Post.id.in_(failed), Post.tagging_status == "failed", still), anew)
    return run_id, len(ids)


def _retryable(status: str, user_id: int | None, limit: int, now: datetime) -> Select[*tuple[Any, ...]]:
    """The newest posts of a status; pending posts of all users in the order of work."""
    query = (
        select(Post.id, Post.tagging_status, Post.next_attempt_at, Post.tagging_attempts, Post.work_class)
        .where(Post.tagging_status == status, _has_text(), _free(now))
        .limit(limit)
    )
    newest = (Post.posted_at.desc(), Post.id.desc())
    # In the words and the order of an index.
    if user_id is not None:
        return query.where(Post.user_id == user_id, sql(UNFINISHED)).order_by(*newest)
    if status == "pending":
        return query.where(sql(QUEUED)).order_by(*in_order_of_work())
    return query.where(sql(TROUBLED)).order_by(*newest)


async def _insert_run(session: AsyncSession, found: Sequence[Any], telegram_id: int, now: datetime) -> int:
    run = RetryRun(telegram_id=telegram_id, created_at=now)
    session.add(run)
    await session.flush()
    rows = [
        {
            "batch_id": run.id,
            "post_id": row.id,
            "previous_status": row.tagging_status,
            "previous_next_attempt_at": row.next_attempt_at,
            "previous_attempts": row.tagging_attempts,
            "previous_work_class": row.work_class,
        }
        for row in found
    ]
    await session.execute(insert(RetryRunPost), rows)
    return run.id


async def stop_run(session: AsyncSession, run: RetryRun, now: datetime) -> int:
    """Put back the run's posts that have not been tried yet; returns how many."""
    mine = and_(RetryRunPost.batch_id == run.id, RetryRunPost.post_id == Post.id)
    untouched = or_(Post.last_tagging_attempt.is_(None), Post.last_tagging_attempt < run.created_at)
    # A /regen or an edit after the run began is not the run's.
    still_its = or_(Post.requested_at.is_(None), Post.requested_at < run.created_at)
    waiting = and_(Post.tagging_status.in_(("pending", "retrying")), untouched, still_its, _free(now))
    previous = (
        (Post.tagging_status, RetryRunPost.previous_status),
        (Post.next_attempt_at, RetryRunPost.previous_next_attempt_at),
        (Post.tagging_attempts, RetryRunPost.previous_attempts),
        (Post.work_class, RetryRunPost.previous_work_class),
    )
    values: dict[str, Any] = {column.key: select(old).where(mine).scalar_subquery() for column, old in previous}
    # A forced run set it; the post's own request keeps it.
    wants_new = case((Post.requested_at.is_not(None), Post.wants_new))
    values |= {"lease_token": None, "lease_expires_at": None, "wants_new": wants_new}
    posts = select(RetryRunPost.post_id).where(RetryRunPost.batch_id == run.id)
    count = await _update(session, and_(Post.id.in_(posts), waiting), values)
    run.stopped = True
    return count


async def open_runs(session: AsyncSession) -> list[RetryRun]:
    query = select(RetryRun).where(RetryRun.closed_at.is_(None), RetryRun.message_id.is_not(None)).order_by(RetryRun.id)
    return list((await session.execute(query)).scalars())


async def count_run(session: AsyncSession, run: RetryRun, now: datetime) -> RetryRunCounts:
    waiting = or_(Post.tagging_status.is_(None), Post.tagging_status.in_(("pending", "retrying")))
    untried = or_(Post.last_tagging_attempt.is_(None), Post.last_tagging_attempt < run.created_at)
    counted: dict[str, ColumnElement[bool]] = {
        "success": Post.tagging_status == "success",
        "failed": Post.tagging_status == "failed",
        "waiting": waiting,
        "in_work": Post.lease_expires_at > now,
        "open": and_(waiting, untried),
    }
    counts = [func.count(case((condition, 1))).label(name) for name, condition in counted.items()]
    query = (
        select(func.count().label("total"), *counts)
        .join(RetryRunPost, RetryRunPost.post_id == Post.id)
        .where(RetryRunPost.batch_id == run.id)
    )
    return RetryRunCounts(**(await session.execute(query)).mappings().one())


async def skip(session: AsyncSession, post_id: int, now: datetime) -> bool:
    """Skip the post; False if it is skipped already or has its tags."""
    values = {**_DUE, "tagging_status": "skipped", "skipped_at": now, "wants_new": None}
    unfinished = or_(Post.tagging_status.in_(RETRYABLE), Post.tagging_status.is_(None))
    return await _update(session, and_(Post.id == post_id, unfinished), values) == 1


async def unskip(session: AsyncSession, post_id: int) -> bool:
    """Undo a skip: failed as before, or pending if attempts are left. False if the post is not skipped."""
    # Only an unfinished post has a place in the order of work.
    is_through = and_(Post.tagging_error.is_not(None), Post.work_class.is_(None))
    status = case((is_through, "failed"), else_="pending")
    condition = and_(Post.id == post_id, Post.skipped_at.is_not(None), Post.tagging_status == "skipped")
    return await _update(session, condition, {"tagging_status": status, "skipped_at": None}) == 1


async def queue_nightly(session: AsyncSession, limit: int, since: datetime, now: datetime) -> int:
    """The daily retry: failed posts tried since `since`, NIGHTS times each, except refused ones."""
    nights = func.coalesce(Post.nightly_retries, 0)
    ids = (
        select(Post.id)
        .where(
            Post.tagging_status == "failed",
            sql(TROUBLED),
            or_(Post.failure_kind.is_(None), Post.failure_kind != "refused"),
            or_(Post.last_tagging_attempt.is_(None), Post.last_tagging_attempt >= since),
            nights < NIGHTS,
            _has_text(),
            _free(now),
        )
        .order_by(Post.posted_at.desc(), Post.id.desc())
        .limit(limit)
    )
    values = {"tagging_status": "pending", "work_class": Priority.NIGHTLY, "nightly_retries": nights + 1}
    return await _update(session, Post.id.in_(ids), {**_DUE, **values})


async def prune_runs(session: AsyncSession, now: datetime) -> None:
    await session.execute(delete(RetryRun).where(RetryRun.created_at < now - timedelta(days=7)))


async def _update(session: AsyncSession, condition: ColumnElement[bool], values: dict[str, Any]) -> int:
    chosen = update(Post).where(Post.id.in_(locked_posts(condition)))
    statement = chosen.values(**values).execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount
