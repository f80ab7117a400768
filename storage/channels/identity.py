"""Rows of the same channel under another number or name."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.source_tables import Follow, SourceRow
from storage.schema.tables import Channel, Post, UserChannel

#: Channels of the same title to compare, and messages of each.
MOST_ALIKE, MOST_MESSAGES = 20, 50
#: Some sources have whole seconds only.
SAME_MOMENT = timedelta(seconds=1)
#: Makes a check due at once.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


async def find_same_channel(
    session: AsyncSession, title: str, messages: Mapping[int, datetime], *, besides: int | None, number: int | None
) -> Channel | None:
    """Another row of the same channel: equal title, and posts of equal numbers and times.

    `messages`: message number → time; `besides`: the channel's own row; with `number`, rows that have one are left out.
    """
    sample = dict(sorted(messages.items(), reverse=True)[:MOST_MESSAGES])
    if not title or not sample:
        return None
    alike = select(Channel).where(Channel.channel_title == title, Channel.id != (besides or 0))
    if number is not None:
        alike = alike.where(Channel.channel_id.is_(None))
    for channel in (await session.execute(alike.order_by(Channel.id).limit(MOST_ALIKE))).scalars().all():
        if await _are_its(session, channel.id, sample):
            return channel
    return None


async def _are_its(session: AsyncSession, channel_id: int, messages: Mapping[int, datetime]) -> bool:
    stored = select(Post.telegram_message_id, Post.posted_at).where(
        Post.channel_id == channel_id, Post.telegram_message_id.in_(messages)
    )
    found = [(messages[number], at) for number, at in await session.execute(stored) if at is not None]
    return bool(found) and all(abs(told - at) < SAME_MOMENT for told, at in found)


async def has_posts(session: AsyncSession, channel_id: int) -> bool:
    return (await session.execute(select(Post.id).where(Post.channel_id == channel_id).limit(1))).first() is not None


async def take_over(session: AsyncSession, channel: Channel, into: Channel, name: str) -> bool:
    """Move follows and name of `channel`, which has no posts; False if another program's rows refer to it."""
    old, new = channel.id, into.id
    try:
        async with session.begin_nested():
            await _move_follows(session, old, new)
            await session.execute(delete(SourceRow).where(SourceRow.channel_id.in_((old, new))))
            session.add(SourceRow(channel_id=new, name=name, next_check_at=LONG_AGO))
            await session.delete(channel)
            await session.flush()
            into.channel_username = name
            await session.flush()
    except IntegrityError:
        return False
    return True


async def _move_follows(session: AsyncSession, old: int, new: int) -> None:
    """Move follows; a user who follows both channels keeps the one of `new`."""
    for table in (Follow, UserChannel):
        there = select(table.user_id).where(table.channel_id == new).scalar_subquery()
        theirs = table.channel_id == old
        await session.execute(delete(table).where(theirs, table.user_id.in_(there)))
        await session.execute(
            update(table).where(theirs).values(channel_id=new).execution_options(synchronize_session=False)
        )


async def merge_follows(session: AsyncSession, channel_id: int, into: int) -> None:
    await _move_follows(session, channel_id, into)
    is_read = exists().where(Follow.channel_id == into)
    await session.execute(delete(SourceRow).where(SourceRow.channel_id == channel_id, is_read))
