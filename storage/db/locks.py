"""Locks that a transaction holds until it ends: an agreed number, or rows of posts."""

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import Post


async def lock_number(session: AsyncSession, number: int) -> None:
    """Hold this number until the transaction ends; on SQLite only one transaction writes anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(number)))


def locked_posts(condition: ColumnElement[bool]) -> Select[int]:
    """The ids of posts that meet the condition, locked in the order of ids to avoid deadlocks."""
    return select(Post.id).where(condition).order_by(Post.id).with_for_update()


async def lock_post(session: AsyncSession, post_id: int, user_id: int | None = None) -> bool:
    """Lock a user's post until the transaction ends; False when there is no such post.

    An answer that comes meanwhile is written before, or finds the result that is awaited since.
    """
    condition = Post.id == post_id if user_id is None else and_(Post.id == post_id, Post.user_id == user_id)
    return (await session.execute(locked_posts(condition))).first() is not None
