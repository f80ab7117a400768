"""Rules for tags: of a user, and of one of their channels."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import Post, User
from storage.schema.tag_tables import TagRules


async def of_posts(session: AsyncSession, post_ids: Collection[int]) -> list[tuple[int, TagRules]]:
    """(post, rules) for each row of rules that holds for these posts, a user's own before their channel's."""
    if not post_ids:
        return []
    query = (
        select(Post.id, TagRules)
        .join(TagRules, TagRules.user_id == Post.user_id)
        .where(
            Post.id.in_(sorted(post_ids)), or_(TagRules.channel_id.is_(None), TagRules.channel_id == Post.channel_id)
        )
        .order_by(Post.id, TagRules.channel_id.is_not(None))
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def of_user(session: AsyncSession, user_id: int, channel_id: int | None) -> list[TagRules]:
    """The user's own rules, then those of the channel."""
    query = select(TagRules).where(
        TagRules.user_id == user_id, or_(TagRules.channel_id.is_(None), TagRules.channel_id == channel_id)
    )
    return list((await session.execute(query.order_by(TagRules.channel_id.is_not(None), TagRules.id))).scalars())


async def overridden(session: AsyncSession, user_id: int) -> set[int]:
    """The user's channels with rules of their own."""
    query = select(TagRules.channel_id).where(TagRules.user_id == user_id, TagRules.channel_id.is_not(None))
    return {channel_id for channel_id in (await session.execute(query)).scalars() if channel_id is not None}


async def lock_user(session: AsyncSession, user_id: int) -> bool:
    """Lock the user's row, since two rows of rules with channel NULL are no conflict. False: there is none.

    Not against posts that come meanwhile, whose foreign key takes a weaker lock.
    """
    query = select(User.id).where(User.id == user_id).with_for_update(key_share=True)
    return (await session.execute(query)).first() is not None


async def set_rules(
    session: AsyncSession, user_id: int, channel_id: int | None, values: dict[str, Any], now: datetime
) -> None:
    row = await _row(session, user_id, channel_id)
    if row is None:
        row = TagRules(user_id=user_id, channel_id=channel_id)
        session.add(row)
    for name, value in values.items():
        setattr(row, name, value)
    row.changed_at = now
    await session.flush()


async def remove(session: AsyncSession, user_id: int, channel_id: int) -> bool:
    statement = delete(TagRules).where(TagRules.user_id == user_id, TagRules.channel_id == channel_id)
    return (await session.execute(statement.returning(TagRules.id))).first() is not None


async def last_posts(session: AsyncSession, user_id: int, channel_id: int | None, most: int) -> Sequence[Any]:
    """The newest posts with their text and tags: of one channel, or of all."""
    query = select(Post.id, Post.text, Post.tags, Post.url, Post.channel_id).where(Post.user_id == user_id)
    if channel_id is not None:
        query = query.where(Post.channel_id == channel_id)
    return (await session.execute(query.order_by(Post.posted_at.desc(), Post.id.desc()).limit(most))).all()


async def _row(session: AsyncSession, user_id: int, channel_id: int | None) -> TagRules | None:
    is_scope = TagRules.channel_id.is_(None) if channel_id is None else TagRules.channel_id == channel_id
    query = select(TagRules).where(TagRules.user_id == user_id, is_scope).order_by(TagRules.id).limit(1)
    return (await session.execute(query)).scalar_one_or_none()
