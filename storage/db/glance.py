"""Short reads of what every update asks for, by statements that were built beforehand.

A session of SQLAlchemy's ORM costs several times what such a read takes: it builds, keys and compiles anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Executable
from sqlalchemy.util.concurrency import greenlet_spawn

from storage.db.engine import Database

T = TypeVar("T")


class Glance(Protocol):
    """What a read is made of."""

    @property
    def dialect_name(self) -> str:
        """The database's kind, as SQLAlchemy calls it."""

    def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The rows that a statement finds; columns by place or name."""


async def glance(database: Database, look: Callable[[Glance], T]) -> T:
    """What `look` finds, in a transaction of its own; whatever it changed is rolled back."""
    if database.bare is not None:
        return await database.bare.read(look)
    engine = database.engine.sync_engine

    def on_a_connection() -> T:
        with engine.connect() as connection:
            return look(_Through(connection))

    return await greenlet_spawn(on_a_connection)


class _Through:
    """By SQLAlchemy, which knows what a connection to a server may come to: one greenlet, no session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect_name = connection.dialect.name

    def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        return self._connection.execute(statement, parameters).all()
