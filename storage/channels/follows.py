"""Follows of public channels, and which channel is read next."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    and_,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema import parser_tables
from storage.schema.parser_tables import OptionalColumns
from storage.schema.source_tables import Follow, SourceRow
from storage.schema.tables import Post, User, UserChannel


@dataclass(frozen=True, slots=True)
class Audience:
    """The users whose channels are read: those who may use the bot, and administrators."""

    columns: OptionalColumns
    admin_ids: Collection[int]

    def clause(self, now: datetime) -> ColumnElement[bool]:
        return or_(parser_tables.may_use_clause(self.columns, now=now), User.telegram_id.in_(self.admin_ids))


@dataclass(frozen=True, slots=True)
class Follower:
    follow: Follow
    telegram_id: int


async def hold(session: AsyncSession, channel_id: int) -> SourceRow | None:
    """Lock and reload a channel's reading state: every change of it or of the channel's follows begins with this."""
    query = select(SourceRow).where(SourceRow.channel_id == channel_id).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()


async def follow(session: AsyncSession, user_id: int, channel_id: int) -> Follow | None:
    return await session.get(Follow, (user_id, channel_id))


async def count_follows(session: AsyncSession, user_id: int) -> int:
    query = select(func.count()).select_from(Follow).where(Follow.user_id == user_id)
    return (await session.execute(query)).scalar_one()


async def followed(session: AsyncSession, user_id: int) -> Sequence[int]:
    query = select(Follow.channel_id).where(Follow.user_id == user_id).order_by(Follow.channel_id)
    return (await session.execute(query)).scalars().all()


async def make_due(session: AsyncSession, user_id: int, channel_ids: Sequence[int], now: datetime) -> list[int]:
    """Have the channels read at once that the user follows and has not paused; returns their ids."""
    theirs = (
        select(Follow.channel_id)
        .outerjoin(UserChannel, _is_link())
        .where(Follow.user_id == user_id, Follow.channel_id.in_(channel_ids), UserChannel.is_active.is_not(False))
    )
    # Locked in the order of ids, against deadlocks.
    held = select(SourceRow.channel_id).where(SourceRow.channel_id.in_(theirs)).order_by(SourceRow.channel_id)
    due = list((await session.execute(held.with_for_update())).scalars())
    statement = update(SourceRow).where(SourceRow.channel_id.in_(due)).values(next_check_at=now)
    await session.execute(statement.execution_options(synchronize_session=False))
    return due


async def set_active(session: AsyncSession, user_id: int, channel_id: int, *, active: bool, now: datetime) -> bool:
    """Pause or resume a user's channel in the parser's row; True if that row was inserted."""
    link = await session.get(UserChannel, (user_id, channel_id))
    if link is not None:
        link.is_active = active
        await session.flush()
        return False
    values = {"user_id": user_id, "channel_id": channel_id, "is_active": active, "created_at": now}
    await parser_tables.insert_row(session, UserChannel, values, now=now)
    return True


async def unfollow(session: AsyncSession, user_id: int, channel_id: int, *, with_link: bool = True) -> bool:
    """Delete a user's follow and, with `with_link`, the parser's row; False if there was none."""
    statements = [delete(Follow).where(Follow.user_id == user_id, Follow.channel_id == channel_id)]
    if with_link:
        statements.append(
            delete(UserChannel).where(UserChannel.user_id == user_id, UserChannel.channel_id == channel_id)
        )
    counts = [cast("CursorResult[Any]", await session.execute(statement)).rowcount for statement in statements]
    await drop_unread(session)
    return any(counts)


async def drop_unread(session: AsyncSession) -> None:
    unfollowed = ~exists().where(Follow.channel_id == SourceRow.channel_id)
    await session.execute(delete(SourceRow).where(unfollowed).execution_options(synchronize_session=False))


async def delete_posts(session: AsyncSession, user_id: int, channel_id: int, *, after: int, limit: int) -> list[int]:
    theirs = (Post.channel_id == channel_id, Post.user_id == user_id, Post.id > after)
    query = select(Post.id).where(*theirs).order_by(Post.id).limit(limit)
    ids = list((await session.execute(query)).scalars())
    if ids:
        statement = delete(Post).where(Post.id.in_(ids)).execution_options(synchronize_session=False)
        await session.execute(statement)
    return ids


async def may_be_due(session: AsyncSession, now: datetime) -> bool:
    """Whether any channel may be due, by a cheap query."""
    look = select(SourceRow.channel_id).where(SourceRow.next_check_at <= now)
    backlog = select(Follow.channel_id).where(_is_behind())
    return bool((await session.execute(select(or_(look.exists(), backlog.exists())))).scalar_one())


async def due_check(session: AsyncSession, audience: Audience, now: datetime) -> SourceRow | None:
    """The followed channel that is due the longest."""
    query = (
        select(SourceRow)
        .where(SourceRow.next_check_at <= now, _followers_of(SourceRow.channel_id, audience, now).exists())
        .order_by(SourceRow.next_check_at, SourceRow.channel_id)
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def due_backlog(
    session: AsyncSession, audience: Audience, now: datetime, after: tuple[int, int]
) -> tuple[SourceRow, Follow] | None:
    """The next follow with a gap or older posts to read.

    New follows first, then gaps, then older posts; within each in turn, beginning after `after` (channel, user).
    """
    turn, seen = tuple_(Follow.channel_id, Follow.user_id), tuple_(*map(literal, after))
    query = (
        select(SourceRow, Follow)
        .join(Follow, Follow.channel_id == SourceRow.channel_id)
        .join(User, User.id == Follow.user_id)
        .outerjoin(UserChannel, _is_link())
        .where(_is_behind(), Follow.oldest_id.is_not(None))
        # After a failure the channel's next check comes first.
        .where(or_(SourceRow.failures == 0, SourceRow.next_check_at <= now))
        .where(UserChannel.is_active.is_not(False), audience.clause(now))
        .order_by(
            Follow.is_new.desc(),
            Follow.gap_before.is_(None),
            turn <= seen,
            Follow.channel_id,
            Follow.user_id,
        )
        .limit(1)
    )
    row = (await session.execute(query)).first()
    return None if row is None else (row[0], row[1])


def _is_behind() -> ColumnElement[bool]:
    return or_(Follow.gap_before.is_not(None), and_(Follow.older_wanted > 0, ~Follow.at_beginning))


async def followers(
    session: AsyncSession, channel_id: int, audience: Audience, now: datetime, user_ids: Sequence[int] | None = None
) -> list[Follower]:
    """The followers for whom the channel is read now; only `user_ids`, unless None."""
    query = (
        _followers_of(channel_id, audience, now).with_only_columns(Follow, User.telegram_id).order_by(Follow.user_id)
    )
    if user_ids is not None:
        query = query.where(Follow.user_id.in_(user_ids))
    rows = await session.execute(query.execution_options(populate_existing=True))
    return [Follower(row[0], row[1]) for row in rows]


async def is_any_unreadable(session: AsyncSession) -> bool:
    follows = exists().where(Follow.channel_id == SourceRow.channel_id)
    query = select(SourceRow.channel_id).where(SourceRow.problem == "unreadable", follows).limit(1)
    return (await session.execute(query)).first() is not None


async def note_parsed(session: AsyncSession, channel_id: int, now: datetime) -> None:
    follows = exists().where(Follow.channel_id == channel_id, Follow.user_id == UserChannel.user_id)
    theirs = (UserChannel.channel_id == channel_id, UserChannel.is_active.is_not(False), follows)
    statement = update(UserChannel).where(*theirs).values(last_parsed_at=now)
    await session.execute(statement.execution_options(synchronize_session=False))


def _followers_of(channel_id: Any, audience: Audience, now: datetime) -> Select[Any]:
    return (
        select(Follow.user_id)
        .join(User, User.id == Follow.user_id)
        .outerjoin(UserChannel, _is_link())
        .where(Follow.channel_id == channel_id, UserChannel.is_active.is_not(False), audience.clause(now))
    )


def _is_link() -> ColumnElement[bool]:
    return (UserChannel.user_id == Follow.user_id) & (UserChannel.channel_id == Follow.channel_id)
