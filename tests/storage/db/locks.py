"""Who waits for whom on PostgreSQL."""

from __future__ import annotations

import asyncio

from sqlalchemy import select
from sqlalchemy import text as sql

from storage.db.engine import Database
from storage.schema.tables import Post

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def free_rows(database: Database) -> list[int]:
    """The posts that nobody has locked."""
    async with database.read() as session:
        query = select(Post.id).order_by(Post.id).with_for_update(skip_locked=True)
        return list((await session.execute(query)).scalars())


async def somebody_waits(database: Database) -> None:
    """Return when a transaction waits for another one's lock."""
    async with asyncio.timeout(30):
        while not await _is_waited(database):  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0)


async def _is_waited(database: Database) -> bool:
    # Each time in a transaction of its own: within one, the answer stays the same.
    async with database.read() as session:
        return bool((await session.execute(sql(_WAITING))).scalar_one())
