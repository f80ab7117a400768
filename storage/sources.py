"""Statements on public channels: who follows what, and which is to be read next. Nothing here commits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Select, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage import legacy
from storage.legacy import OptionalColumns
from storage.models import Post, User, UserChannel
from storage.source_models import Follow, SourceRow


@dataclass(frozen=True, slots=True)
class Audience:
    """Whose channels are read: those who may use the bot, and its administrators whatever the parser says."""

    columns: OptionalColumns
    admin_ids: Collection[int]

    def clause(self, now: datetime) -> ColumnElement[bool]:
        """For a query that has `users`."""
        return or_(legacy.may_use_clause(self.columns, now=now), User.telegram_id.in_(self.admin_ids))


@dataclass(frozen=True, slots=True)
class Follower:
    """A follow that is read now, and whose it is."""

    follow: Follow
    telegram_id: int


async def source(session: AsyncSession, channel_id: int) -> SourceRow | None:
    """What is known of a channel's reading; None: nobody follows it."""
    return await session.get(SourceRow, channel_id)


async def follow(session: AsyncSession, user_id: int, channel_id: int) -> Follow | None:
    """A user's follow of a channel."""
    return await session.get(Follow, (user_id, channel_id))


async def count_follows(session: AsyncSession, user_id: int) -> int:
    """How many channels a user follows."""
    query = select(func.count()).select_from(Follow).where(Follow.user_id == user_id)
    return (await session.execute(query)).scalar_one()


async def followed(session: AsyncSession, user_id: int) -> Sequence[int]:
    """The channels that a user follows, by id."""
    query = select(Follow.channel_id).where(Follow.user_id == user_id).order_by(Follow.channel_id)
    return (await session.execute(query)).scalars().all()


async def make_due(session: AsyncSession, user_id: int, channel_ids: Sequence[int], now: datetime) -> list[int]:
    """Have these channels read at once, as far as the user follows them and has not paused them; returns which."""
    theirs = (
        select(Follow.channel_id)
        .outerjoin(UserChannel, _is_link())
        .where(Follow.user_id == user_id, Follow.channel_id.in_(channel_ids), UserChannel.is_active.is_not(False))
    )
    statement = (
        update(SourceRow)
        .where(SourceRow.channel_id.in_(theirs))
        .values(next_check_at=now)
        .returning(SourceRow.channel_id)
        .execution_options(synchronize_session=False)
    )
    return sorted((await session.execute(statement)).scalars())


async def is_active(session: AsyncSession, user_id: int, channel_id: int) -> bool:
    """Whether a user's channel is not paused."""
    link = await session.get(UserChannel, (user_id, channel_id))
    return link is None or link.is_active is not False


async def set_active(session: AsyncSession, user_id: int, channel_id: int, *, active: bool, now: datetime) -> None:
    """Whether a user's channel is read at the moment: in the row that the parser goes by, too."""
    link = await session.get(UserChannel, (user_id, channel_id))
    if link is not None:
        link.is_active = active
        await session.flush()
        return
    values = {"user_id": user_id, "channel_id": channel_id, "is_active": active, "created_at": now}
    await legacy.insert_row(session, UserChannel, values, now=now)


async def unfollow(session: AsyncSession, user_id: int, channel_id: int) -> bool:
    """Forget that a user follows a channel, for the parser, too; False: they did not. Nobody left: nor is it read."""
    gone = delete(Follow).where(Follow.user_id == user_id, Follow.channel_id == channel_id)
    links = delete(UserChannel).where(UserChannel.user_id == user_id, UserChannel.channel_id == channel_id)
    counts = [cast("CursorResult[Any]", await session.execute(statement)).rowcount for statement in (gone, links)]
    nobody = ~exists().where(Follow.channel_id == SourceRow.channel_id)
    await session.execute(delete(SourceRow).where(SourceRow.channel_id == channel_id, nobody))
    return any(counts)


async def delete_posts(session: AsyncSession, user_id: int, channel_id: int, *, after: int, limit: int) -> list[int]:
    """Delete up to `limit` of a user's posts of a channel, from the lowest id above `after`, and what refers to them.

    Returns which; what was deleted before is not gone through again.
    """
    theirs = (Post.channel_id == channel_id, Post.user_id == user_id, Post.id > after)
    query = select(Post.id).where(*theirs).order_by(Post.id).limit(limit)
    ids = list((await session.execute(query)).scalars())
    if ids:
        statement = delete(Post).where(Post.id.in_(ids)).execution_options(synchronize_session=False)
        await session.execute(statement)
    return ids


async def newest_message(session: AsyncSession, user_id: int, channel_id: int) -> int | None:
    """The highest message number that is stored of a channel for a user."""
    query = select(func.max(Post.telegram_message_id)).where(Post.channel_id == channel_id, Post.user_id == user_id)
    return (await session.execute(query)).scalar_one()


async def may_be_due(session: AsyncSession, now: datetime) -> bool:
    """Whether it is worth asking what is to be read; cheap, since it is asked again and again."""
    look = select(SourceRow.channel_id).where(or_(SourceRow.next_check_at <= now, SourceRow.gap_before.is_not(None)))
    older = select(Follow.channel_id).where(Follow.older_wanted > 0)
    return bool((await session.execute(select(or_(look.exists(), older.exists())))).scalar_one())


async def due_check(session: AsyncSession, audience: Audience, now: datetime) -> SourceRow | None:
    """The channel that has waited longest to be looked at, of those that are due and that somebody follows."""
    query = (
        select(SourceRow)
        .where(SourceRow.next_check_at <= now, _followers_of(SourceRow.channel_id, audience, now).exists())
        .order_by(SourceRow.next_check_at, SourceRow.channel_id)
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def due_gap(session: AsyncSession, audience: Audience, now: datetime) -> SourceRow | None:
    """A channel of which new posts between two looks are still to be read."""
    query = (
        select(SourceRow)
        .where(SourceRow.gap_before.is_not(None), _reads_now(now))
        .where(_followers_of(SourceRow.channel_id, audience, now).exists())
        .order_by(SourceRow.checked_at, SourceRow.channel_id)
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def due_older(
    session: AsyncSession, audience: Audience, now: datetime, after: int
) -> tuple[SourceRow, Follow] | None:
    """A channel beyond `after` (by id, then from the start again) of which somebody wants older posts."""
    query = (
        select(SourceRow, Follow)
        .join(Follow, Follow.channel_id == SourceRow.channel_id)
        .join(User, User.id == Follow.user_id)
        .outerjoin(UserChannel, _is_link())
        .where(Follow.older_wanted > 0, Follow.oldest_id.is_not(None), ~Follow.at_beginning, _reads_now(now))
        .where(UserChannel.is_active.is_not(False), audience.clause(now))
        .order_by(Follow.channel_id <= after, Follow.channel_id, Follow.added_at)
        .limit(1)
    )
    row = (await session.execute(query)).first()
    return None if row is None else (row[0], row[1])


async def followers(session: AsyncSession, channel_id: int, audience: Audience, now: datetime) -> list[Follower]:
    """For whom a channel is read now."""
    query = (
        _followers_of(channel_id, audience, now).with_only_columns(Follow, User.telegram_id).order_by(Follow.user_id)
    )
    return [Follower(row[0], row[1]) for row in await session.execute(query)]


async def is_any_unreadable(session: AsyncSession) -> bool:
    """Whether some channel's page is of a form that is not known."""
    query = select(SourceRow.channel_id).where(SourceRow.problem == "unreadable").limit(1)
    return (await session.execute(query)).first() is not None


async def note_parsed(session: AsyncSession, channel_id: int, user_ids: Sequence[int], now: datetime) -> None:
    """The channel was read for these users: where the parser notes that, too."""
    theirs = (UserChannel.channel_id == channel_id, UserChannel.user_id.in_(user_ids))
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


def _reads_now(now: datetime) -> ColumnElement[bool]:
    """Whether nothing has just gone wrong with a channel: until it is looked at again, nothing else is asked of it."""
    return or_(SourceRow.failures == 0, SourceRow.next_check_at <= now)
