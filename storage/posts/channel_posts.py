"""Posts stored one by one, and the channels they come from."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema import parser_tables
from storage.schema.tables import Channel, ChannelOwner, Post

#: Messages of an album, ten at most, have neighbouring numbers: it needs no index.
ALBUM_REACH = 20
#: The Bot API's prefix of channel numbers; other clients (the parser's) leave it out.
BOT_API_PREFIX = 10**12


@dataclass(frozen=True, slots=True)
class StoredPost:
    id: int
    text: str | None
    tagging_status: str
    tags: tuple[str, ...]


async def owner_of(session: AsyncSession, telegram_channel_id: int) -> ChannelOwner | None:
    """The person who added the bot to the channel; None if the bot is not in it."""
    owner = await session.get(ChannelOwner, telegram_channel_id)
    return None if owner is None or owner.removed_at is not None else owner


async def set_owner(session: AsyncSession, owner: ChannelOwner) -> ChannelOwner:
    """Insert or replace a channel's owner; returns the row, which can be changed further."""
    return await session.merge(owner)


async def remove_owner(session: AsyncSession, telegram_channel_id: int, now: datetime) -> None:
    await session.execute(
        update(ChannelOwner)
        .where(ChannelOwner.telegram_channel_id == telegram_channel_id, ChannelOwner.removed_at.is_(None))
        .values(removed_at=now)
    )


async def channel_row(
    session: AsyncSession, telegram_id: int | None, *, username: str | None, title: str, now: datetime
) -> int:
    """The id of a channel's row, found by Telegram's number, then by name, else inserted; ValueError without both."""
    if telegram_id is None:
        return await _row_by_name(session, username, title, now)
    channel = await _find_channel(session, telegram_id, username)
    if channel is None:
        name = username or nameless(telegram_id)
        if username and await find_named(session, username):
            # The name was another channel's, whose row keeps it.
            name = nameless(telegram_id)
        return await _insert_channel(session, name, telegram_id, title, now)
    if channel.channel_id is None:
        channel.channel_id = telegram_id
    if title and channel.channel_title != title:
        channel.channel_title = title
    if username and channel.channel_username == nameless(telegram_id) and not await find_named(session, username):
        channel.channel_username = username
    await session.flush()
    return channel.id


async def hold_channel(session: AsyncSession, channel_id: int) -> None:
    """Lock the channel's row until this transaction ends; the parser can still insert posts of the channel."""
    await session.execute(select(Channel.id).where(Channel.id == channel_id).with_for_update(key_share=True))


async def known_channels(
    session: AsyncSession, telegram_ids: Collection[int], usernames: Collection[str]
) -> list[tuple[Any, Any]]:
    """Channels by number (of the Bot API) or public name: (stored number, stored name)."""
    numbers = {number for given in telegram_ids for number in (given, -given - BOT_API_PREFIX)}
    names = {name for given in usernames for name in (given.lower(), f"@{given.lower()}")}
    query = select(Channel.channel_id, Channel.channel_username).where(
        or_(Channel.channel_id.in_(numbers), func.lower(Channel.channel_username).in_(names))
    )
    return [(number, name) for number, name in await session.execute(query)]


def full_number(number: int | None) -> int | None:
    """PURE: a channel number in the Bot API's form (-100…)."""
    return -number - BOT_API_PREFIX if number is not None and number > 0 else number


async def is_known(session: AsyncSession, telegram_id: int) -> bool:
    return await _find_channel(session, telegram_id, None) is not None


def nameless(telegram_id: int) -> str:
    """The name stored for a channel without a public name: the column is unique and not NULL."""
    return f"id{telegram_id}"


async def _find_channel(session: AsyncSession, telegram_id: int, username: str | None) -> Channel | None:
    query = select(Channel).where(Channel.channel_id.in_((telegram_id, -telegram_id - BOT_API_PREFIX)))
    found = (await session.execute(query.order_by(Channel.channel_id).limit(1))).scalar_one_or_none()
    if found is not None or not username:
        return found
    query = select(Channel).where(_is_named(username), Channel.channel_id.is_(None)).order_by(Channel.id).limit(1)
    return (await session.execute(query)).scalar_one_or_none()


async def _row_by_name(session: AsyncSession, username: str | None, title: str, now: datetime) -> int:
    if not username:
        raise ValueError("a channel has a number or a name")
    channel = await find_named(session, username)
    if channel is None:
        return await _insert_channel(session, username, None, title, now)
    if title and channel.channel_title != title:
        channel.channel_title = title
        await session.flush()
    return channel.id


async def _insert_channel(session: AsyncSession, name: str, number: int | None, title: str, now: datetime) -> int:
    values = {"channel_username": name, "channel_id": number, "channel_title": title, "created_at": now}
    return int((await parser_tables.insert_row(session, Channel, values, now=now))[0])


async def find_named(session: AsyncSession, username: str) -> Channel | None:
    """The channel of that public name, in any case, with or without @."""
    query = select(Channel).where(_is_named(username)).order_by(Channel.id).limit(1)
    return (await session.execute(query)).scalar_one_or_none()


def _is_named(username: str) -> Any:
    name = username.lower()
    return func.lower(Channel.channel_username).in_((name, f"@{name}"))


async def find_post(session: AsyncSession, user_id: int, channel_id: int, message_id: int) -> StoredPost | None:
    return await _first(session, _of(user_id, channel_id).where(Post.telegram_message_id == message_id))


async def find_album(
    session: AsyncSession, user_id: int, channel_id: int, message_id: int, media_group_id: str
) -> StoredPost | None:
    near = Post.telegram_message_id.between(message_id - ALBUM_REACH, message_id + ALBUM_REACH)
    return await _first(session, _of(user_id, channel_id).where(near, Post.media_group_id == media_group_id))


async def find_message(session: AsyncSession, user_id: int, channel: int | str, message_id: int) -> int | None:
    """The id of a user's post of a channel, which is given by number or public name."""
    if isinstance(channel, str):
        row = await find_named(session, channel)
    else:
        row = await _find_channel(session, channel, None)
    post = None if row is None else await find_post(session, user_id, row.id, message_id)
    return None if post is None else post.id


def _of(user_id: int, channel_id: int) -> Any:
    return (
        select(Post.id, Post.text, Post.tagging_status, Post.tags)
        .where(Post.channel_id == channel_id, owned_by(user_id))
        .order_by(Post.id)
        .limit(1)
    )


def owned_by(user_id: int) -> ColumnElement[bool]:
    """The user's posts, in words that keep SQLite from the index on user and channel: messages have a better one."""
    return Post.user_id + 0 == user_id


async def _first(session: AsyncSession, query: Any) -> StoredPost | None:
    row = (await session.execute(query)).first()
    if row is None:
        return None
    return StoredPost(row.id, row.text, row.tagging_status or "pending", tuple(row.tags))


async def insert_post(session: AsyncSession, values: dict[str, Any], now: datetime) -> int:
    return int((await parser_tables.insert_row(session, Post, {**values, "parsed_at": now}, now=now))[0])


async def set_text(session: AsyncSession, post_id: int, text: str | None) -> None:
    """Change a post's text; a trigger makes it pending again and keeps its tags."""
    await session.execute(
        update(Post).where(Post.id == post_id).values(text=text).execution_options(synchronize_session=False)
    )


async def get_post(session: AsyncSession, post_id: int) -> StoredPost | None:
    return await _first(session, select(Post.id, Post.text, Post.tagging_status, Post.tags).where(Post.id == post_id))
