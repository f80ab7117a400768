"""Every statement on the queue. The posts table is the queue; nothing here commits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    CursorResult,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.channels import hashtags
from storage.db.locks import locked_posts
from storage.queue.claim import claim_statement, due_at, is_due
from storage.schema.index_conditions import QUEUED, REUSABLE, WAITS
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import Attempt, OutboxRow, Post

_POSTS, _ATTEMPTS = cast("Table", Post.__table__), cast("Table", Attempt.__table__)
#: Of so many posts with the same text, the newest, at least one has tags that can be used.
MOST_ALIKE = 5


class Priority(IntEnum):
    """Order of work (`posts.work_class`): lower first. NULL in the row means FRESH."""

    ASKED = 0
    FRESH = 1
    RETRY = 2
    BULK = 3
    BACKFILL = 4
    NIGHTLY = 5


class ClaimedPost(NamedTuple):
    """A post under our lease, as it was when claimed.

    A tuple, since thousands are made a second: to make a frozen dataclass of so many fields takes three times as long.
    """

    id: int
    user_id: int
    text: str | None
    tags: tuple[str, ...]
    attempts: int
    work_class: int
    requested_at: datetime | None
    trail: Any
    token: str
    error: str | None = None
    #: It waits for the provider to come back.
    waits: bool = False
    #: When the attempt ended that waits for the upstream to show whether the failure was the post's own.
    doubted_since: datetime | None = None
    #: The next request is a retry after a fault of the upstream.
    is_retry: bool = False
    #: Others were served after it had met such a fault.
    suspect: bool = False
    #: `services.tags.text_equality.text_key` of the text that its tags were given for.
    text_key: int | None = None
    #: Neither these tags are wanted nor another post's.
    wants_new: bool = False

    @property
    def claim(self) -> tuple[int, str]:
        """The post and the lease: no other claim of it is this one."""
        return self.id, self.token


@dataclass(frozen=True, slots=True)
class Settled:
    """Of the posts to be settled: the ids of those that still exist, those whose outcome somebody waits for, those
    whose hashtags go into a channel, and the claims that were written."""

    alive: frozenset[int]
    awaited: frozenset[int]
    hashtagged: frozenset[int]
    written: frozenset[tuple[int, str]]

    def wrote(self, post: ClaimedPost) -> bool:
        """Whether the post was ours still."""
        return post.claim in self.written


async def claim(
    session: AsyncSession,
    *,
    limit: int,
    now: datetime,
    lease_seconds: float,
    token: str,
    after_user: int,
    retries: bool = True,
    asked: bool = False,
) -> list[ClaimedPost]:
    """Take up to `limit` due posts under a lease, in one statement.

    First by order of work; among equals users in turn, beginning after `after_user` (one post of each, then
    their second ones, …); of one user the newest first. Of the last order of work nobody's posts are more than their
    share: it may take fewer than are due, and what is left is the next claim's. Neither the number of users nor
    anybody's backlog makes it longer (`storage.queue.claim`). Without `retries`, posts after a fault of the upstream
    are left where they are; with `asked`, all but what a person asked for.
    """
    values = {
        "limit": limit,
        "now": now,
        "after_user": after_user,
        "token": token,
        "until": now + timedelta(seconds=lease_seconds),
    }
    statement = claim_statement(session.get_bind().dialect.name, retries=retries, asked=asked)
    rows = (await session.execute(statement, values)).all()
    # UPDATE … RETURNING promises no order.
    return sorted((_claimed(row, token) for row in rows), key=lambda post: (post.work_class, -post.id))


def _claimed(row: Sequence[Any], token: str) -> ClaimedPost:
    (post_id, user_id, text, tags, attempts, work_class, requested_at, trail, error, tried_at, *states) = row
    waits, after_fault, suspect, text_key, wants_new = states
    between_attempts = not (isinstance(trail, dict) and trail.get("asked"))
    return ClaimedPost(
        post_id,
        user_id,
        text,
        tuple(tags),
        attempts or 0,
        Priority.FRESH if work_class is None else work_class,
        requested_at,
        trail,
        token,
        error,
        waits=bool(waits),
        doubted_since=tried_at if waits and between_attempts else None,
        is_retry=bool(after_fault),
        suspect=bool(suspect),
        text_key=text_key,
        wants_new=bool(wants_new),
    )


async def next_due_at(session: AsyncSession, now: datetime, *, retries: bool = True) -> datetime | None:
    """When the next waiting post becomes due; None when none waits. `now` when one is due already."""
    due = select(literal(1)).where(sql(QUEUED), is_due(Post, now, retries=retries)).order_by(due_at(Post)).limit(1)
    if (await session.execute(due)).first() is not None:
        return now
    waiting = select(Post.next_attempt_at).where(sql(QUEUED), due_at(Post) > now).order_by(due_at(Post)).limit(1)
    return (await session.execute(waiting)).scalar_one_or_none()


async def renew(session: AsyncSession, posts: Sequence[ClaimedPost], until: datetime) -> None:
    """Prolong the leases that are still ours."""
    for token in {post.token for post in posts}:
        ids = [post.id for post in posts if post.token == token]
        await session.execute(
            update(Post)
            .where(Post.id.in_(locked_posts(and_(Post.id.in_(ids), Post.lease_token == token))))
            .values(lease_expires_at=until)
            .execution_options(synchronize_session=False)
        )


async def release(session: AsyncSession, posts: Sequence[ClaimedPost]) -> None:
    """Give back what is still ours, unchanged."""
    await settle(session, [(post, {}) for post in posts])


async def ended_lately(session: AsyncSession, since: datetime, until: datetime) -> list[tuple[str, str, int]]:
    """Attempts that ended from `since` to before `until`: (how, the last request's outcome, how many)."""
    query = (
        select(Attempt.ended, Attempt.outcome, func.count())
        .where(Attempt.ended.is_not(None), Attempt.at >= since, Attempt.at < until)
        .group_by(Attempt.ended, Attempt.outcome)
    )
    return [(ended or "", outcome, count) for ended, outcome, count in await session.execute(query)]


async def release_all(session: AsyncSession) -> int:
    """Void every lease: for SQLite at start, when the file lock says that no other process works on it."""
    result = await session.execute(
        update(Post)
        .where(sql(QUEUED), Post.lease_token.is_not(None))
        .values(lease_token=None, lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", result).rowcount


async def settle(session: AsyncSession, settled: Sequence[tuple[ClaimedPost, dict[str, Any]]]) -> Settled:
    """Write claimed posts' new states and end their leases.

    Nothing is written to a post whose lease was lost, or whose text has changed since it was claimed.
    """
    if not settled:
        return Settled(frozenset(), frozenset(), frozenset(), frozenset())
    found = await _locked_rows(session, [post.id for post, _ in settled])
    written = frozenset(post.claim for post, _ in settled if _is_ours(post, found.get(post.id)))
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for post, values in settled:
        if post.claim in written:
            row = {"settled_id": post.id, "settled_token": post.token, **values}
            alike.setdefault(tuple(values), []).append(row)
    for columns, rows in alike.items():
        # The rows are locked and the leases ours: to ask for the lease here again costs nothing.
        is_ours = and_(_POSTS.c.id == bindparam("settled_id"), _POSTS.c.lease_token == bindparam("settled_token"))
        new: dict[str, Any] = {name: bindparam(name) for name in columns}
        statement = update(_POSTS).where(is_ours).values({**new, "lease_token": None, "lease_expires_at": None})
        await session.execute(statement, rows)
    awaited = frozenset(post_id for post_id, (_, _, is_awaited, _) in found.items() if is_awaited)
    hashtagged = frozenset(post_id for post_id, (_, _, _, is_hashtagged) in found.items() if is_hashtagged)
    if hashtagged:
        await hashtags.tags_came(session, hashtagged)
    return Settled(frozenset(found), awaited, hashtagged, written)


def _is_ours(post: ClaimedPost, row: tuple[Any, ...] | None) -> bool:
    return row is not None and row[0] == post.token and row[1] == post.text


async def _locked_rows(session: AsyncSession, ids: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """Those that exist: id → (lease, text, awaited, hashtagged). They stay locked, on SQLite as everything is."""
    waiting = exists().where(OutboxRow.post_id == _POSTS.c.id, OutboxRow.kind == "result", OutboxRow.done_at.is_(None))
    hashtagged = exists().where(HashtagRow.post_id == _POSTS.c.id, HashtagRow.state.in_(("waiting", "written")))
    query = select(_POSTS.c.id, _POSTS.c.lease_token, _POSTS.c.text, waiting, hashtagged).where(_POSTS.c.id.in_(ids))
    rows = await session.execute(query.order_by(_POSTS.c.id).with_for_update())
    return {post_id: (lease, text, awaited, hashtagged) for post_id, lease, text, awaited, hashtagged in rows}


async def log_attempts(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """Append to `metka_attempts`; all of the rows have the same keys."""
    if rows:
        # `inline`: else PostgreSQL would send their ids, which nobody needs.
        await session.execute(insert(_ATTEMPTS).inline(), rows)


async def tagged_alike(session: AsyncSession, keys: Collection[int]) -> list[tuple[int, str, tuple[str, ...]]]:
    """Posts with one of these text keys that say they have their tags, the newest of each key last: (key, text, tags).

    Several of each: one whose tags another program took away, or whose text was edited since, must not hide the others.
    """
    columns = _POSTS.c
    place = func.row_number().over(partition_by=columns.text_key, order_by=columns.id.desc()).label("place")
    placed = select(columns.id, place).where(columns.text_key.in_(keys), sql(REUSABLE)).subquery()
    newest = select(placed.c.id).where(placed.c.place <= MOST_ALIKE)
    query = select(columns.text_key, columns.text, columns.tags).where(columns.id.in_(newest)).order_by(columns.id)
    return [(row.text_key, row.text or "", tuple(row.tags)) for row in await session.execute(query)]


async def last_success_at(session: AsyncSession) -> datetime | None:
    """When any post last got tags from a model."""
    return (await session.execute(select(func.max(Attempt.at)).where(Attempt.outcome == "tagged"))).scalar_one_or_none()


async def others_failed(session: AsyncSession, outcomes: Sequence[str], since: datetime | None) -> bool:
    """Whether a post that is no suspect has had one of these outcomes since then."""
    query = select(literal(1)).select_from(Attempt).join(Post, Post.id == Attempt.post_id)
    query = query.where(Attempt.outcome.in_(outcomes), Post.suspect.is_not(True))
    if since is not None:
        query = query.where(Attempt.at > since)
    return (await session.execute(query.limit(1))).first() is not None


async def upstream_serves(session: AsyncSession) -> int:
    """Others are served: posts whose last attempt is in doubt are due. Those within an attempt keep their delay."""
    in_doubt = _waiting_for_upstream().where(Post.attempt_trail.is_(None))
    return await _make_due(session, in_doubt, next_attempt_at=None)


def _waiting_for_upstream() -> Select[int]:
    """Posts that wait for the provider. What another process has locked is left to it: no waiting, no deadlock."""
    waiting = select(Post.id).where(sql(QUEUED), Post.next_attempt_at.is_not(None), sql(WAITS))
    return waiting.with_for_update(skip_locked=True)


async def _make_due(session: AsyncSession, ids: Select[int], **values: Any) -> int:
    statement = update(Post).where(Post.id.in_(ids)).values(**values)
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


async def upstream_is_back(session: AsyncSession) -> int:
    """Make every post due that waited for the provider; the attempts that it had in doubt are forgotten."""
    cleared = {"next_attempt_at": None, "waits_for_upstream": None, "after_fault": None}
    return await _make_due(session, _waiting_for_upstream(), **cleared)


async def prune_attempts(session: AsyncSession, before: datetime, limit: int) -> int:
    """Delete up to `limit` attempts older than `before`, the oldest first; returns how many there were."""
    oldest = select(Attempt.id).where(Attempt.at < before).order_by(Attempt.at).limit(limit)
    result = await session.execute(
        delete(Attempt).where(Attempt.id.in_(oldest)).execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", result).rowcount
