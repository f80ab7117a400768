"""The HTTP API's lists: users, channels, tags, and pages of posts."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    Boolean,
    ColumnElement,
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

from storage.reads import overview
from storage.schema import parser_tables
from storage.schema.tables import Channel, Post, User, UserChannel
from storage.schema.types import UtcDateTime, is_tag

#: Posts that one statement looks through: decoding their tags blocks the event loop.
PIECE = 2000
FEWEST = 20


async def begin_view(session: AsyncSession) -> None:
    """Give all later statements of the session one snapshot; on SQLite every transaction has one."""
    if session.get_bind().dialect.name == "postgresql":
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def user_exists(session: AsyncSession, user_id: int) -> bool:
    return (await session.execute(select(User.id).where(User.id == user_id))).first() is not None


async def users(session: AsyncSession, after: int, limit: int, only: int | None) -> Sequence[User]:
    """Users by id, beginning after `after`; only the user `only`, unless None."""
    query = select(User).where(User.id > after).order_by(User.id).limit(limit)
    if only is not None:
        query = query.where(User.id == only)
    return (await session.execute(query)).scalars().all()


async def channels(session: AsyncSession, user_id: int) -> Sequence[Row[Any]]:
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


async def posts(
    session: AsyncSession,
    user_id: int,
    *,
    status: str | None,
    tag: str | None,
    before: tuple[datetime, int | None] | None,
    limit: int,
    found: Sequence[ColumnElement[bool]] = (),
) -> Sequence[Row[Any]]:
    """A page of a user's posts, the newest first, before a time or the post (time, id); call `begin_view` before.

    `found`: conditions of a search.
    On SQLite posts are ordered by the text of their time: another program's format may stand wrong within its day.
    """
    dialect = session.get_bind().dialect.name
    newer = [*([_is_before(user_id, *before, dialect)] if before is not None else []), *found]
    if tag is None:
        return (await session.execute(_page(_posts(), user_id, status, newer, limit))).all()
    if not is_tag(tag):
        return []
    return await _tagged(session, _posts(), user_id, [*newer, *_of_status(status)], tag, limit)


async def told_posts(
    session: AsyncSession, user_id: int, before: tuple[datetime, int] | None, limit: int
) -> Sequence[Row[Any]]:
    """A page of a user's posts for an export, ordered as `posts`."""
    newer = [_is_before(user_id, *before, session.get_bind().dialect.name)] if before is not None else []
    return (await session.execute(_page(_told(), user_id, None, newer, limit))).all()


async def newest_tagged(session: AsyncSession, user_id: int, tag: str | None, limit: int) -> Sequence[Row[Any]]:
    """The newest posts with the tag (None: with any) for a feed; call `begin_view` before."""
    if tag is not None:
        return await _tagged(session, _told(), user_id, [], tag, limit) if is_tag(tag) else []
    has_any = literal_column(parser_tables.has_tags(session.get_bind().dialect.name, "piece.tags"), Boolean)
    return await _filtered(session, _told(), user_id, [], (has_any, bool), limit)


async def _tagged(
    session: AsyncSession,
    selected: Select[*tuple[Any, ...]],
    user_id: int,
    conditions: list[Any],
    tag: str,
    limit: int,
) -> Sequence[Row[Any]]:
    may_have = parser_tables.may_have_tag(session.get_bind().dialect.name, "piece.tags", tag)
    return await _filtered(session, selected, user_id, conditions, (may_have, lambda tags: tag in tags), limit)


async def _filtered(
    session: AsyncSession,
    selected: Select[*tuple[Any, ...]],
    user_id: int,
    conditions: list[Any],
    wanted: tuple[Any, Callable[[list[str]], bool]],
    limit: int,
) -> Sequence[Row[Any]]:
    """The newest posts with `wanted` tags: (SQL that may say yes too often, Python that decides)."""
    (may_have, has), at_most = wanted, max(limit, FEWEST)
    found: list[Row[Any]] = []
    seen = conditions
    while True:
        columns: Select[*tuple[Any, ...]] = select(Post.id, Post.posted_at, literal_column("posts.tags").label("tags"))
        piece = _newest(columns.where(Post.user_id == user_id, *seen), PIECE).subquery("piece")
        ids = select(piece.c.id).where(may_have).order_by(piece.c.posted_at.desc(), piece.c.id.desc()).limit(at_most)
        rows = (await session.execute(_newest(selected.where(Post.id.in_(ids)), at_most))).all()
        found += [row for row in rows if has(row.tags)]
        if len(found) >= limit:
            return found[:limit]
        last = rows[-1].id if len(rows) == at_most else await _last_of_piece(session, user_id, seen)
        if last is None:
            return found
        seen = [*conditions, _is_behind(user_id, last)]


async def _last_of_piece(session: AsyncSession, user_id: int, conditions: list[Any]) -> int | None:
    """The id of the piece's last post, from the index alone; None if the piece is shorter."""
    query = _newest(select(Post.id).where(Post.user_id == user_id, *conditions), 1).offset(PIECE - 1)
    return (await session.execute(query)).scalar_one_or_none()


def _page(
    query: Select[*tuple[Any, ...]], user_id: int, status: str | None, newer: list[Any], limit: int
) -> Select[*tuple[Any, ...]]:
    conditions = [Post.user_id == user_id, *newer]
    if status != "pending":
        return _newest(query.where(*conditions, *_of_status(status)), limit)
    # Pending and NULL apart: no index has both in order.
    either = (Post.tagging_status == "pending", Post.tagging_status.is_(None))
    parts = (_newest(select(Post.id).where(*conditions, overview.unfinished(), one), limit) for one in either)
    return _newest(query.where(Post.id.in_(union_all(*(select(part.subquery()) for part in parts)))), limit)


def _of_status(status: str | None) -> list[ColumnElement[bool]]:
    if status is None:
        return []
    if status == "success":
        return [Post.tagging_status == status]
    # A parser's column without a default holds NULL for a new post.
    is_status = Post.tagging_status == status
    return [overview.unfinished(), or_(is_status, Post.tagging_status.is_(None)) if status == "pending" else is_status]


def _newest(query: Select[*tuple[Any, ...]], limit: int) -> Select[*tuple[Any, ...]]:
    return query.order_by(Post.posted_at.desc(), Post.id.desc()).limit(limit)


def _is_before(user_id: int, at: datetime, post_id: int | None, dialect: str) -> Any:
    moment = literal(at, UtcDateTime)
    if post_id is None:
        return _is_earlier_text(at) if dialect == "sqlite" else Post.posted_at < moment
    # By the stored time if the row still exists: another program may have written it in another format.
    return tuple_(Post.posted_at, Post.id) < tuple_(func.coalesce(_time_of(user_id, post_id), moment), literal(post_id))


def _is_behind(user_id: int, post_id: int) -> Any:
    return tuple_(Post.posted_at, Post.id) < tuple_(_time_of(user_id, post_id), literal(post_id))


def _time_of(user_id: int, post_id: int) -> Any:
    # Only the user's own post: pages must not reveal that another's exists.
    theirs = case((Post.user_id == user_id, Post.posted_at))
    return select(theirs).where(Post.id == post_id).scalar_subquery()


def _is_earlier_text(at: datetime) -> Any:
    """Compare times in any format of SQLite; unreadable ones are compared as texts."""
    words = "replace(posts.posted_at, 'T', ' ')"
    # Six digits of a fraction, as UtcDateTime writes; strftime knows only milliseconds.
    padded = f"substr({words} || substr('.000000', length({words}) - 18), 1, 26)"
    is_plain = (
        f"{padded} GLOB '????-??-?? ??:??:??.[0-9][0-9][0-9][0-9][0-9][0-9]' AND length({words}) BETWEEN 19 AND 26"
    )
    understood = "strftime('%Y-%m-%d %H:%M:%f', posts.posted_at) || '000'"
    normal = f"coalesce(CASE WHEN {is_plain} THEN {padded} ELSE {understood} END, posts.posted_at)"
    # The index finds the candidates: no offset exceeds two days.
    return and_(
        Post.posted_at < literal((at + timedelta(days=2)).date().isoformat(), String),
        literal_column(normal, String) < literal(at, UtcDateTime),
    )


async def post(session: AsyncSession, post_id: int, user_id: int | None) -> Row[Any] | None:
    query = _posts().where(Post.id == post_id)
    if user_id is not None:
        query = query.where(Post.user_id == user_id)
    return (await session.execute(query)).first()


async def count_needing_retry(session: AsyncSession, user_id: int, max_attempts: int) -> int:
    query = (
        select(func.count())
        .select_from(Post)
        .where(Post.user_id == user_id, Post.tagging_status.in_(("failed", "retrying")), overview.unfinished())
        .where(func.coalesce(Post.tagging_attempts, 0) < max_attempts)
    )
    return (await session.execute(query)).scalar_one()


def _told() -> Select[*tuple[Any, ...]]:
    return select(
        Post.id,
        Channel.channel_username,
        Channel.channel_id,
        Channel.channel_title,
        Post.telegram_message_id,
        Post.url,
        Post.posted_at,
        Post.text,
        Post.tags,
        Post.tagging_status,
        Post.views,
        Post.parsed_at,
        Post.last_tagging_attempt,
    ).outerjoin(Channel, Channel.id == Post.channel_id)


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
