"""Short reads of what every update asks for: one greenlet, a bare connection, statements that were built beforehand.

A session of SQLAlchemy's ORM costs several times what such a read takes: it builds, keys and compiles anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.util.concurrency import greenlet_spawn

from storage.database import Database

T = TypeVar("T")


async def glance(database: Database, look: Callable[[Connection], T]) -> T:
    """What `look` finds, in a transaction of its own; whatever it changed is rolled back."""
    engine = database.engine.sync_engine

    def on_a_connection() -> T:
        with engine.connect() as connection:
            return look(connection)

    return await greenlet_spawn(on_a_connection)
