"""A user's list of channels."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Boolean, Select, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.posts.channel_posts import BOT_API_PREFIX
from storage.reads import overview
from storage.schema import parser_tables
from storage.schema.source_tables import Follow, SourceRow
from storage.schema.tables import Channel, ChannelOwner, Post, User, UserChannel


async def cards(session: AsyncSession, user_id: int, channel_id: int | None = None) -> Sequence[Any]:
    """A user's channels by title: those followed, those with posts, and those that they added the bot to.

    Rows of Channel, UserChannel, Follow, SourceRow, ChannelOwner (these four may be None), posts, untagged.
    """
    tagged = literal_column(parser_tables.has_tags(session.get_bind().dialect.name, "posts.tags"), Boolean)
    counted = _counted(user_id, "posts").subquery()
    # 'success' implies tags: the index of the others is small.
    lacking = _counted(user_id, "untagged").where(overview.unfinished(), ~tagged).subquery()
    numbers = (Channel.channel_id, -Channel.channel_id - BOT_API_PREFIX)
    owner = select(User.telegram_id).where(User.id == user_id).scalar_subquery()
    is_theirs = (ChannelOwner.owner_telegram_id == owner) & ChannelOwner.removed_at.is_(None)
    title = func.coalesce(func.nullif(Channel.channel_title, ""), Channel.channel_username)
    query = (
        select(
            Channel,
            UserChannel,
            Follow,
            SourceRow,
            ChannelOwner,
            func.coalesce(counted.c.posts, 0).label("posts"),
            func.coalesce(lacking.c.untagged, 0).label("untagged"),
        )
        .outerjoin(counted, counted.c.channel_id == Channel.id)
        .outerjoin(lacking, lacking.c.channel_id == Channel.id)
        .outerjoin(UserChannel, (UserChannel.channel_id == Channel.id) & (UserChannel.user_id == user_id))
        .outerjoin(Follow, (Follow.channel_id == Channel.id) & (Follow.user_id == user_id))
        .outerjoin(SourceRow, SourceRow.channel_id == Channel.id)
        .outerjoin(ChannelOwner, ChannelOwner.telegram_channel_id.in_(numbers) & is_theirs)
        .where(
            or_(
                counted.c.posts.is_not(None),
                UserChannel.user_id.is_not(None),
                Follow.user_id.is_not(None),
                ChannelOwner.telegram_channel_id.is_not(None),
            )
        )
        .order_by(func.lower(title), Channel.id)
    )
    if channel_id is not None:
        query = query.where(Channel.id == channel_id)
    return cast("Sequence[Any]", (await session.execute(query)).all())


async def looks(session: AsyncSession, channel_ids: Sequence[int]) -> Sequence[Any]:
    query = (
        select(SourceRow.channel_id, SourceRow.name, SourceRow.next_check_at, SourceRow.problem)
        .where(SourceRow.channel_id.in_(channel_ids))
        .order_by(SourceRow.channel_id)
    )
    return cast("Sequence[Any]", (await session.execute(query)).all())


async def last_post(session: AsyncSession) -> int:
    return (await session.execute(select(func.max(Post.id)))).scalar_one() or 0


async def posts_after(
    session: AsyncSession, user_id: int, channel_ids: Sequence[int], post_id: int
) -> Mapping[int, int]:
    query = (
        select(Post.channel_id, func.count())
        .where(Post.id > post_id, Post.user_id == user_id, Post.channel_id.in_(channel_ids))
        .group_by(Post.channel_id)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


def _counted(user_id: int, label: str) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = select(Post.channel_id, func.count().label(label))
    return query.where(Post.user_id == user_id).group_by(Post.channel_id)
