"""Statements behind the HTTP API's lists: users, channels, tags, and pages of posts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, cast

from sqlalchemy import (
    Row,
    Select,
    String,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from storage import legacy, reads
from storage.models import Channel, Post, User, UserChannel
from storage.types import UtcDateTime, is_tag, strings_in_each

#: Posts that are looked through in a statement: the first few will often do, and no statement takes long.
PIECES = range(250, 1000)
#: Stands for the time of the last post of a piece, which is there: its row says it.
OLDEST = datetime(1000, 1, 1, tzinfo=UTC)


async def begin_view(session: AsyncSession) -> None:
    """Every statement after this one sees the rows as they are now; on SQLite they do in any transaction."""
    if session.get_bind().dialect.name == "postgresql":
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def user_exists(session: AsyncSession, user_id: int) -> bool:
    """Whether there is such a row of users."""
    return (await session.execute(select(User.id).where(User.id == user_id))).first() is not None


async def users(session: AsyncSession, after: int, limit: int, only: int | None) -> Sequence[User]:
    """Users by id, from beyond `after`; `only` that one, unless None."""
    query = select(User).where(User.id > after).order_by(User.id).limit(limit)
    if only is not None:
        query = query.where(User.id == only)
    return (await session.execute(query)).scalars().all()


async def channels(session: AsyncSession, user_id: int) -> Sequence[Row[Any]]:
    """Channels that a user follows or has posts of, with how many."""
    counted = (
        select(Post.channel_id, func.count().label("posts"))
        .where(Post.user_id == user_id)
        .group_by(Post.channel_id)
        .subquery()
    )
    query = (
        select(
            Channel.id,
            Channel.channel_username,
            Channel.channel_id,
            Channel.channel_title,
            UserChannel.is_active,
            UserChannel.last_parsed_at,
            func.coalesce(counted.c.posts, 0).label("posts"),
        )
        .outerjoin(counted, counted.c.channel_id == Channel.id)
        .outerjoin(UserChannel, (UserChannel.channel_id == Channel.id) & (UserChannel.user_id == user_id))
        .where(or_(counted.c.posts.is_not(None), UserChannel.user_id.is_not(None)))
        .order_by(Channel.id)
    )
    return cast("Sequence[Row[Any]]", (await session.execute(query)).all())


async def tag_counts(session: AsyncSession, user_id: int, limit: int) -> list[tuple[str, int]]:
    """A user's tags with how many posts have each, the most frequent first; after `begin_view`."""
    counted: Counter[str] = Counter()
    async for rows in _in_pieces(session, _Wanted(user_id), first=PIECES.stop):
        counted.update(chain.from_iterable(map(set, strings_in_each([row.tags for row in rows]))))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return list(islice(((tag, count) for tag, count in ranked if is_tag(tag)), limit))


async def posts(
    session: AsyncSession,
    user_id: int,
    *,
    status: str | None,
    tag: str | None,
    before: tuple[datetime, int | None] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """A page of a user's posts, the newest first: from before a time, or from behind that time's post of an id.

    With a tag, after `begin_view`: the posts are looked through until there are enough that have it.

    On SQLite a time is a text, and the order is that of texts: where rows of one day are written in different ways
    (`2026-01-05 12:00:00.000000` is ours), it is not that of the times within the day. A time compares right with
    all of them (one with an offset to the millisecond), but the pages behind that page follow the order.
    """
    wanted = _Wanted(user_id, status, before)
    if tag is None:
        return (await session.execute(_page(_posts(), wanted, limit, session.get_bind().dialect.name))).all()
    ids: list[int] = []
    async for rows in _in_pieces(session, wanted, first=PIECES.start):
        found = strings_in_each([row.tags for row in rows]) if is_tag(tag) else []
        ids += [row.id for row, tags in zip(rows, found, strict=False) if tag in tags]
        if len(ids) >= limit:
            break
    return (await session.execute(_newest(_posts().where(Post.id.in_(ids)), limit))).all()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Posts of a user: of a status, and from before a time or from behind a post, unless None."""

    user_id: int
    status: str | None = None
    before: tuple[datetime, int | None] | None = None


async def _in_pieces(session: AsyncSession, wanted: _Wanted, *, first: int) -> AsyncIterator[Sequence[Row[Any]]]:
    """The ids and tags of posts, the newest first, in statements each of which is short, however many there are."""
    dialect = session.get_bind().dialect.name
    # As JSON's text: what a page of posts goes through to be shown would take several times as long.
    text = literal_column(legacy.json_text(dialect, "posts.tags"), String).label("tags")
    limit, rows = first, None
    while rows is None or len(rows) == limit:
        if rows is not None:
            wanted, limit = replace(wanted, before=(OLDEST, rows[-1].id)), PIECES.stop
        rows = (await session.execute(_page(select(Post.id, text), wanted, limit, dialect))).all()
        yield rows


def _page(query: Select[*tuple[Any, ...]], wanted: _Wanted, limit: int, dialect: str) -> Select[*tuple[Any, ...]]:
    conditions = [Post.user_id == wanted.user_id]
    if wanted.before is not None:
        conditions.append(_is_before(wanted.user_id, *wanted.before, dialect))
    if wanted.status == "pending":
        # NULL is what a parser's own column without a default says of a new post: the newest of either.
        either = (Post.tagging_status == "pending", Post.tagging_status.is_(None))
        parts = (_newest(select(Post.id).where(*conditions, reads.unfinished(), one), limit) for one in either)
        return _newest(query.where(Post.id.in_(union_all(*(select(part.subquery()) for part in parts)))), limit)
    if wanted.status is not None:
        conditions.append(Post.tagging_status == wanted.status)
    if wanted.status not in {None, "success"}:
        conditions.append(reads.unfinished())
    return _newest(query.where(*conditions), limit)


def _newest(query: Select[*tuple[Any, ...]], limit: int) -> Select[*tuple[Any, ...]]:
    return query.order_by(Post.posted_at.desc(), Post.id.desc()).limit(limit)


def _is_before(user_id: int, at: datetime, post_id: int | None, dialect: str) -> Any:
    moment = literal(at, UtcDateTime)
    if post_id is None:
        return _is_earlier_text(at) if dialect == "sqlite" else Post.posted_at < moment
    # The row's own text, where the row is still there: on SQLite another program may have written the same time
    # in other words, which would not be equal to ours. Of no other user's row: pages would tell that it exists.
    theirs = case((Post.user_id == user_id, Post.posted_at))
    own = select(theirs).where(Post.id == post_id).scalar_subquery()
    return tuple_(Post.posted_at, Post.id) < tuple_(func.coalesce(own, moment), literal(post_id))


def _is_earlier_text(at: datetime) -> Any:
    """Whether a time, in whatever words SQLite holds it, is before another; what is unreadable goes by its text."""
    words = "replace(posts.posted_at, 'T', ' ')"
    # With a fraction of six digits, as ours; an offset or a date alone is left to SQLite, which knows milliseconds.
    padded = f"substr({words} || substr('.000000', length({words}) - 18), 1, 26)"
    is_plain = (
        f"{padded} GLOB '????-??-?? ??:??:??.[0-9][0-9][0-9][0-9][0-9][0-9]' AND length({words}) BETWEEN 19 AND 26"
    )
    understood = "strftime('%Y-%m-%d %H:%M:%f', posts.posted_at) || '000'"
    normal = f"coalesce(CASE WHEN {is_plain} THEN {padded} ELSE {understood} END, posts.posted_at)"
    # The index finds what is before a later day: no offset and no other words lead further. The rest is looked at.
    return and_(
        Post.posted_at < literal((at + timedelta(days=2)).date().isoformat(), String),
        literal_column(normal, String) < literal(at, UtcDateTime),
    )


async def post(session: AsyncSession, post_id: int, user_id: int | None) -> Row[Any] | None:
    """One post, of that user (None: anybody's)."""
    query = _posts().where(Post.id == post_id)
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return (await session.execute(query)).first()


async def count_needing_retry(session: AsyncSession, user_id: int, max_attempts: int) -> int:
    """Posts whose last attempt failed and that have attempts left."""
    query = (
        select(func.count())
        .select_from(Post)
        .where(Post.user_id == user_id, Post.tagging_status.in_(("failed", "retrying")), reads.unfinished())
        .where(func.coalesce(Post.tagging_attempts, 0) < max_attempts)
    )
    return (await session.execute(query)).scalar_one()


def _posts() -> Select[*tuple[Any, ...]]:
    return select(
        Post.id,
        Post.user_id,
        Post.channel_id,
        Post.telegram_message_id,
        Post.text,
        Post.url,
        Post.posted_at,
        Post.tags,
        Post.tagging_status,
        Post.tagging_attempts,
        Post.last_tagging_attempt,
        Post.tagging_error,
    )
