"""Locks that a transaction holds until it ends: an agreed number, or rows of posts."""

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import Post


async def lock_number(session: AsyncSession, number: int) -> None:
    """Hold this number until the transaction ends; on SQLite only one transaction writes anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(number)))


def locked_posts(condition: ColumnElement[bool]) -> Select[int]:
    """The ids of posts that meet the condition, locked in the order of ids to avoid deadlocks."""
    return select(Post.id).where(condition).order_by(Post.id).with_for_update()
