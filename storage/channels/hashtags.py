"""Hashtags in channels: where they are switched on, and the messages that contain them."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, literal, or_, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import HASHTAGS_OPEN
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import ChannelOwner, Post
from storage.schema.tag_tables import TagChange, TagChangePost

#: Channels listed for one person: a message can have a hundred buttons.
MOST_CHANNELS = 40
#: The message contains hashtags that are not being removed.
_REMOVABLE = (HashtagRow.line.is_not(None), HashtagRow.state != "undoing")


async def find(session: AsyncSession, post_id: int) -> HashtagRow | None:
    return await session.get(HashtagRow, post_id, with_for_update=True)


async def find_with_post(session: AsyncSession, post_id: int) -> HashtagRow | None:
    """Lock the post, then its hashtag row: the order in which `leases.settle` locks."""
    if await session.get(HashtagRow, post_id) is None:
        return None
    await session.execute(select(Post.id).where(Post.id == post_id).with_for_update())
    return await session.get(HashtagRow, post_id, with_for_update=True, populate_existing=True)


async def appended_to(
    session: AsyncSession, channel_id: int, message_ids: Sequence[int]
) -> dict[int, tuple[str | None, str | None]]:
    """Message number → lines of hashtags that the message may contain."""
    if not (await session.execute(select(select(HashtagRow.post_id).exists()))).scalar_one():
        return {}
    query = (
        select(Post.telegram_message_id, HashtagRow.line, HashtagRow.other_line)
        .join(HashtagRow, HashtagRow.post_id == Post.id)
        .where(Post.channel_id == channel_id, Post.telegram_message_id.in_(message_ids))
        .where(or_(HashtagRow.line.is_not(None), HashtagRow.other_line.is_not(None)))
    )
    return {row.telegram_message_id: (row.line, row.other_line) for row in await session.execute(query)}


async def tags_came(session: AsyncSession, post_ids: Collection[int]) -> None:
    await session.execute(
        update(HashtagRow)
        .where(HashtagRow.post_id.in_(post_ids), HashtagRow.state == "written")
        .values(state="waiting")
        .execution_options(synchronize_session=False)
    )


def _written_by(telegram_id: int) -> ColumnElement[bool]:
    """The hashtags stand in a channel of this person, where hashtags are on."""
    channels = select(ChannelOwner.telegram_channel_id).where(
        ChannelOwner.owner_telegram_id == telegram_id,
        ChannelOwner.hashtags_since.is_not(None),
        ChannelOwner.removed_at.is_(None),
    )
    return and_(HashtagRow.state == "written", HashtagRow.chat_id.in_(channels))


def _of_change(user_id: int, change_id: int) -> ColumnElement[bool]:
    touched = (
        select(TagChangePost.post_id)
        .join(TagChange, TagChange.id == TagChangePost.change_id)
        .where(TagChange.id == change_id, TagChange.user_id == user_id)
    )
    return HashtagRow.post_id.in_(touched)


async def count_changed(session: AsyncSession, telegram_id: int, user_id: int, change_id: int) -> int:
    """Messages with hashtags whose posts a change of a vocabulary touched."""
    query = select(func.count()).select_from(HashtagRow)
    query = query.where(_written_by(telegram_id), _of_change(user_id, change_id))
    return (await session.execute(query)).scalar_one()


async def rewrite_changed(session: AsyncSession, telegram_id: int, user_id: int, change_id: int) -> int:
    return await _rewrite(session, _written_by(telegram_id), _of_change(user_id, change_id))


async def rewrite_post(session: AsyncSession, telegram_id: int, post_id: int) -> int:
    return await _rewrite(session, _written_by(telegram_id), HashtagRow.post_id == post_id)


async def _rewrite(session: AsyncSession, *conditions: ColumnElement[bool]) -> int:
    statement = update(HashtagRow).where(*conditions).values(state="waiting").returning(HashtagRow.post_id)
    return len((await session.execute(statement.execution_options(synchronize_session=False))).all())


def is_any_ready(without: Collection[int] = ()) -> Select[tuple[bool]]:
    """Whether a message waits for an edit, by a cheap query."""
    return select(_ready(without).with_only_columns(literal(1)).exists())


async def ready(session: AsyncSession, limit: int, without: Collection[int]) -> list[tuple[HashtagRow, list[str]]]:
    """Messages to be edited with their tags, the oldest first, outside the channels `without`."""
    query = _ready(without).order_by(HashtagRow.post_id).limit(limit).with_for_update(of=HashtagRow)
    return [(row, tags or []) for row, tags in await session.execute(query)]


def _ready(without: Collection[int]) -> Select[HashtagRow, list[str] | None]:
    is_on = exists().where(
        ChannelOwner.telegram_channel_id == HashtagRow.chat_id,
        ChannelOwner.hashtags_since.is_not(None),
        ChannelOwner.removed_at.is_(None),
    )
    tagged = and_(HashtagRow.state == "waiting", Post.tagging_status == "success", is_on)
    query = select(HashtagRow, Post.tags).join(Post, Post.id == HashtagRow.post_id)
    query = query.where(sql(HASHTAGS_OPEN), or_(HashtagRow.state == "undoing", tagged))
    return query.where(HashtagRow.chat_id.not_in(without)) if without else query


async def tags_of(session: AsyncSession, post_id: int) -> list[str]:
    return (await session.execute(select(Post.tags).where(Post.id == post_id))).scalar_one_or_none() or []


async def forget_waiting(session: AsyncSession, chat_id: int) -> None:
    await session.execute(
        delete(HashtagRow)
        .where(HashtagRow.chat_id == chat_id, sql(HASHTAGS_OPEN))
        .where(HashtagRow.line.is_(None), HashtagRow.other_line.is_(None))
        .execution_options(synchronize_session=False)
    )


async def channels_of(session: AsyncSession, telegram_id: int) -> list[ChannelOwner]:
    query = (
        select(ChannelOwner)
        .where(ChannelOwner.owner_telegram_id == telegram_id, ChannelOwner.removed_at.is_(None))
        .order_by(ChannelOwner.title, ChannelOwner.telegram_channel_id)
        .limit(MOST_CHANNELS)
    )
    return list((await session.execute(query)).scalars())


async def owned_channels(session: AsyncSession, limit: int) -> list[ChannelOwner]:
    """Channels where the bot is an administrator, the latest first."""
    query = select(ChannelOwner).where(ChannelOwner.removed_at.is_(None)).order_by(ChannelOwner.added_at.desc())
    return list((await session.execute(query.limit(limit))).scalars())


async def last_written(session: AsyncSession, chat_ids: Collection[int]) -> int | None:
    query = (
        select(HashtagRow.post_id)
        .where(HashtagRow.chat_id.in_(chat_ids), *_REMOVABLE)
        .order_by(HashtagRow.post_id.desc())
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def owner_of_line(session: AsyncSession, post_id: int) -> int | None:
    """The owner of the channel if the post's message contains hashtags that can be removed."""
    query = (
        select(ChannelOwner.owner_telegram_id)
        .join(HashtagRow, HashtagRow.chat_id == ChannelOwner.telegram_channel_id)
        .where(HashtagRow.post_id == post_id, *_REMOVABLE, ChannelOwner.removed_at.is_(None))
    )
    return (await session.execute(query)).scalar_one_or_none()
