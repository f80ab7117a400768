"""Locks that a transaction holds until it ends: an agreed number, or rows of posts."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.tables import Post


async def lock_number(session: AsyncSession, number: int) -> None:
    """Wait until no other transaction holds this number, and hold it; on SQLite a writer is alone anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(number)))


def locked_posts(condition: ColumnElement[bool]) -> Select[int]:
    """The ids of posts for which the condition holds once they are locked.

    Rows are locked in the order of their ids: in different orders two transactions would wait for each other.
    """
    return select(Post.id).where(condition).order_by(Post.id).with_for_update()
