"""Rows as the parser inserts them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.engine import Database
from storage.schema.tables import Channel, Post, User

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


async def add_user(session: AsyncSession, user_id: int) -> None:
    """A user whose Telegram id is 1000 + users.id, and a channel of the same id."""
    session.add(User(id=user_id, telegram_id=1000 + user_id, first_name=f"U{user_id}", created_at=NOW, is_active=True))
    session.add(Channel(id=user_id, channel_username=f"channel{user_id}", channel_title=f"Channel {user_id}"))
    await session.flush()


async def add_posts(session: AsyncSession, user_id: int, count: int, *, first: int = 1, **values: Any) -> None:
    """Posts first…first+count-1 of a user, each newer than the one before."""
    rows = [
        {
            "id": number,
            "user_id": user_id,
            "channel_id": user_id,
            "telegram_message_id": number,
            "text": f"Пост номер {number} о новостях города",
            "posted_at": NOW + timedelta(minutes=number),
            **values,
        }
        for number in range(first, first + count)
    ]
    await session.execute(insert(Post), rows)


async def get_post(database: Database, post_id: int) -> Post:
    """The row as it is now."""
    async with database.read() as session:
        return (await session.execute(select(Post).where(Post.id == post_id))).scalar_one()


@contextmanager
def sqlite_without_foreign_keys(database: Database) -> Iterator[sqlite3.Connection]:
    """SQLite as another program may use it: with its defaults."""
    with closing(sqlite3.connect(str(database.url.database))) as connection, connection:
        yield connection
