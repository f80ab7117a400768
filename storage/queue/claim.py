"""The claim: the next posts by order of work and users' turns, and a lease on them.

The statement walks the queue's index (order of work, user, newest first); each step finds the next user with a due
post, so its cost depends on the posts wanted, not on the backlog. SQLAlchemy would hide the use of the index.
"""

from datetime import datetime, timedelta
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Executable,
    Row,
    and_,
    bindparam,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import DUE_AT, LONG_AGO, QUEUED
from storage.schema.tables import Post
from storage.schema.types import UtcDateTime

#: A due post under the alias `row`, in the words of the index.
_IS_DUE = (
    f"{QUEUED.replace('tagging_status', 'row.tagging_status')} AND {DUE_AT.replace('next_', 'row.next_')} <= :now"
    " AND (row.lease_expires_at IS NULL OR row.lease_expires_at <= :now)"
)
#: The same in words that match no index: with outdated statistics PostgreSQL would read the whole backlog.
_IS_STILL_DUE = (
    "coalesce(row.tagging_status, 'pending') IN ('pending', 'retrying')"
    " AND (row.next_attempt_at IS NULL OR row.next_attempt_at <= :now)"
    " AND (row.lease_expires_at IS NULL OR row.lease_expires_at <= :now)"
)
_NO_RETRY = " AND row.after_fault IS NOT TRUE"
_CLASS = "coalesce(row.work_class, 1)"
_ONLY_ASKED = f" AND {_CLASS} = 0"
#: The index's order after its first column, which is given; SQLite does not use the index otherwise.
_BY_USER = "ORDER BY row.user_id, row.posted_at DESC, row.id DESC LIMIT 1"
_NEXT_CLASS = (
    f"(SELECT {_CLASS} FROM posts AS row WHERE {_CLASS} > turns.work_class AND {{due}}"  # noqa: S608 - constants
    f" ORDER BY {_CLASS} LIMIT 1)"
)

#: A row of `turns`: an order of work, a user with due posts of it, and their best one. Users after :after_user come
#: first (is_late 0). Ends with :limit users, each counted once; a user whom the parser deleted has no turn.
_TURNS = f"""
SELECT -1 AS work_class, 0 AS user_id, 1 AS is_late, 0 AS post_id, 0 AS is_known, 0 AS users, CAST(',' AS TEXT) AS seen
UNION ALL
SELECT coalesce(best.work_class, 1), best.user_id, CASE WHEN best.user_id <= :after_user THEN 1 ELSE 0 END, best.id,
    CASE WHEN users.id IS NULL THEN 0 ELSE 1 END,
    turns.users + CASE WHEN users.id IS NULL OR turns.seen LIKE '%,' || best.user_id || ',%' THEN 0 ELSE 1 END,
    turns.seen || best.user_id || ','
FROM turns
JOIN posts AS best ON best.id = coalesce(
    (SELECT row.id FROM posts AS row WHERE turns.is_late = 0 AND {_CLASS} = turns.work_class
        AND row.user_id > turns.user_id AND {{due}} {_BY_USER}),
    (SELECT row.id FROM posts AS row WHERE {_CLASS} = turns.work_class AND row.user_id <= :after_user
        AND row.user_id > CASE WHEN turns.is_late = 1 THEN turns.user_id ELSE 0 END AND {{due}} {_BY_USER}),
    (SELECT row.id FROM posts AS row WHERE {_CLASS} = {_NEXT_CLASS} AND row.user_id > :after_user
        AND {{due}} {_BY_USER}),
    (SELECT row.id FROM posts AS row WHERE {_CLASS} = {_NEXT_CLASS} AND {{due}} {_BY_USER})
)
LEFT JOIN users ON users.id = best.user_id
WHERE turns.users < :limit
"""  # noqa: S608 - constants

_LAST_CLASS = "(SELECT max(work_class) FROM turns)"
#: Up to `most` posts of a turn if `which` holds. The user is a range, or SQLite would take another index; an empty one
#: for other turns, or SQLite would test `which` for each post.
_THEIRS = f"""
SELECT row.id FROM posts AS row
WHERE {_CLASS} = turns.work_class AND {{due}}
    AND row.user_id BETWEEN turns.user_id AND CASE WHEN {{which}} THEN turns.user_id ELSE turns.user_id - 1 END
ORDER BY row.user_id, row.posted_at DESC, row.id DESC LIMIT {{most}}
"""  # noqa: S608 - constants
#: Of the last order of work: each user's best post if there are enough users, else each user's share.
_LAST = {
    "which": f"(SELECT max(users) FROM turns) < :limit AND turns.work_class = {_LAST_CLASS}",  # noqa: S608 - constants
    "most": f"(SELECT (:limit + count(*) - 1) / count(*) FROM turns WHERE work_class = {_LAST_CLASS})",  # noqa: S608
}
_EARLIER = {"which": f"turns.work_class < {_LAST_CLASS}", "most": ":limit"}

#: By order of work, then each user's first post, their second ones, …
_CLAIM = f"""
WITH RECURSIVE turns AS ({_TURNS})
UPDATE posts SET lease_token = :token, lease_expires_at = :until
WHERE id IN (
    SELECT row.id FROM posts AS row
    WHERE {_IS_STILL_DUE} AND row.id IN (
        SELECT post.id FROM turns JOIN posts AS post ON {{among}}
        WHERE turns.is_known = 1
        ORDER BY coalesce(post.work_class, 1),
            row_number() OVER (
                PARTITION BY post.user_id ORDER BY coalesce(post.work_class, 1), post.posted_at DESC, post.id DESC
            ),
            turns.is_late, turns.user_id
        LIMIT :limit
    )
    {{lock}}
)
RETURNING {{columns}}
"""  # noqa: S608 - constants

_AMONG = {
    "sqlite": "post.id = turns.post_id OR post.id IN ({earlier}) OR post.id IN ({last})",
    # PostgreSQL reads the whole table for a correlated IN, but not for an array.
    "postgresql": "post.id = ANY (ARRAY({earlier}) || ARRAY({last}) || turns.post_id)",
}
_POSTS = Post.__table__.c
#: Whether the post's tags go into a channel.
_IS_HASHTAGGED = column("is_hashtagged", Boolean)
_HASHTAGGED = (
    "EXISTS (SELECT 1 FROM metka_hashtags AS written"
    " WHERE written.post_id = posts.id AND written.state IN ('waiting', 'written'))"
)
#: Columns that are not returned as they stand.
_EXPRESSIONS = {"tags": "CAST(tags AS TEXT)", "is_hashtagged": _HASHTAGGED}
_LOCK = {"sqlite": "", "postgresql": "FOR UPDATE SKIP LOCKED"}
_RETURNED = (
    _POSTS.id,
    _POSTS.user_id,
    _POSTS.text,
    _POSTS.tags,
    _POSTS.tagging_attempts,
    _POSTS.work_class,
    _POSTS.requested_at,
    _POSTS.attempt_trail,
    _POSTS.tagging_error,
    _POSTS.last_tagging_attempt,
    _POSTS.waits_for_upstream,
    _POSTS.after_fault,
    _POSTS.suspect,
    _POSTS.text_key,
    _POSTS.wants_new,
    _IS_HASHTAGGED,
)


def due_at(post: Any) -> ColumnElement[datetime]:
    """When a queued post is due (LONG_AGO if at once), in the words of the indexes."""
    return func.coalesce(post.next_attempt_at, literal_column(LONG_AGO))


def is_due(post: Any, now: datetime, *, retries: bool = True) -> ColumnElement[bool]:
    """Due and not leased; without `retries` not after an upstream fault either. Use it together with QUEUED."""
    due = and_(due_at(post) <= now, or_(post.lease_expires_at.is_(None), post.lease_expires_at <= now))
    return due if retries else and_(due, post.after_fault.is_not(True))


def in_order_of_work() -> tuple[Any, ...]:
    return (func.coalesce(Post.work_class, literal_column("1")), Post.user_id, Post.posted_at.desc(), Post.id.desc())


@cache
def claim_statement(dialect: str, *, retries: bool, only_asked: bool = False) -> Executable:
    """The statement of `claim_posts`, with :limit, :now, :token, :until and :after_user."""
    due = _IS_DUE + ("" if retries else _NO_RETRY) + (_ONLY_ASKED if only_asked else "")
    columns = ", ".join(_EXPRESSIONS.get(each.key, each.key) for each in _RETURNED)
    among = _AMONG[dialect].format(earlier=_THEIRS.format(due=due, **_EARLIER), last=_THEIRS.format(due=due, **_LAST))
    written = _CLAIM.format(due=due, among=among, lock=_LOCK[dialect], columns=columns)
    times = (bindparam(name, type_=UtcDateTime) for name in ("now", "until"))
    return sql(written).bindparams(*times).columns(*_RETURNED)


class Priority(IntEnum):
    """Order of work (`posts.work_class`): lower first. NULL in the row means FRESH."""

    ASKED = 0
    FRESH = 1
    RETRY = 2
    BULK = 3
    BACKFILL = 4
    NIGHTLY = 5


class ClaimedPost(NamedTuple):
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
    waits: bool = False
    #: When the attempt in doubt ended; the provider's next answers show whether its failure was the post's own.
    doubted_since: datetime | None = None
    is_retry: bool = False
    suspect: bool = False
    #: `services.tags.text_equality.text_key` of the text that the tags belong to.
    text_key: int | None = None
    #: New tags were asked for: neither these tags will do, nor those of a post with equal text.
    wants_new: bool = False
    #: Its tags go into a channel.
    is_hashtagged: bool = False

    @property
    def claim(self) -> tuple[int, str]:
        """Post id and lease token: unique to this claim."""
        return self.id, self.token


async def claim_posts(
    session: AsyncSession,
    *,
    limit: int,
    now: datetime,
    lease_seconds: float,
    token: str,
    after_user: int,
    retries: bool = True,
    only_asked: bool = False,
) -> list[ClaimedPost]:
    """Take up to `limit` due posts under a lease, in one statement; `only_asked`: of those that people asked for.

    By order of work; within one, users take turns, beginning after `after_user`; of one user the newest first. Each
    user gets at most their share of the last order of work: a claim may take fewer posts than are due.
    """
    values = {
        "limit": limit,
        "now": now,
        "after_user": after_user,
        "token": token,
        "until": now + timedelta(seconds=lease_seconds),
    }
    statement = claim_statement(session.get_bind().dialect.name, retries=retries, only_asked=only_asked)
    rows = (await session.execute(statement, values)).all()
    # UPDATE … RETURNING promises no order.
    return sorted((_claimed(row, token) for row in rows), key=lambda post: (post.work_class, -post.id))


def _claimed(row: Row[Any], token: str) -> ClaimedPost:
    trail, waits = row.attempt_trail, bool(row.waits_for_upstream)
    between_attempts = not (isinstance(trail, dict) and trail.get("asked"))
    return ClaimedPost(
        row.id,
        row.user_id,
        row.text,
        tuple(row.tags),
        row.tagging_attempts or 0,
        Priority.FRESH if row.work_class is None else row.work_class,
        row.requested_at,
        trail,
        token,
        row.tagging_error,
        waits=waits,
        doubted_since=row.last_tagging_attempt if waits and between_attempts else None,
        is_retry=bool(row.after_fault),
        suspect=bool(row.suspect),
        text_key=row.text_key,
        wants_new=bool(row.wants_new),
        is_hashtagged=bool(row.is_hashtagged),
    )


async def next_due_at(session: AsyncSession, now: datetime, *, retries: bool = True) -> datetime | None:
    """When the next queued post becomes due: `now` if one is due already, None if none is queued."""
    due = select(literal(1)).where(sql(QUEUED), is_due(Post, now, retries=retries)).order_by(due_at(Post)).limit(1)
    if (await session.execute(due)).first() is not None:
        return now
    return await next_later_at(session, now)


async def next_later_at(session: AsyncSession, now: datetime) -> datetime | None:
    """When the next post becomes due that is not due yet."""
    waiting = select(Post.next_attempt_at).where(sql(QUEUED), due_at(Post) > now).order_by(due_at(Post)).limit(1)
    return (await session.execute(waiting)).scalar_one_or_none()
