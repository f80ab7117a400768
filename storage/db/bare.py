"""Reads of SQLite on a bare connection: SQLAlchemy takes ten times a statement's time to make it."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.db.prepared import Prepared
from storage.db.sqlite import InlineDialect

T = TypeVar("T")


class BareReader:
    """One connection that only reads; it stays open, since nothing on it is ever awaited."""

    dialect_name = "sqlite"

    def __init__(self, engine: AsyncEngine) -> None:
        """The connection is made as the engine makes its own, when something is read for the first time."""
        self._engine = engine
        self._connection: sqlite3.Connection | None = None
        self._reads: WeakKeyDictionary[Executable, _Read] = WeakKeyDictionary()

    async def read(self, look: Callable[[BareReader], T]) -> T:
        """What `look` finds by `rows`, in a transaction of its own.

        Raises:
            DBAPIError: as SQLAlchemy would.
        """
        try:
            connection = self._connection or await self._connect()
            connection.execute("BEGIN").close()
            try:
                return look(self)
            finally:
                connection.rollback()
        except sqlite3.Error as error:
            # Whatever is wrong with it: the next one gets another.
            self.close()
            raise DBAPIError.instance(None, None, error, sqlite3.Error, hide_parameters=True) from error

    def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """The rows of a statement, within `read`. It is compiled once: keep it as long as it is asked."""
        read = self._reads.get(statement)
        if read is None:
            read = self._reads[statement] = _Read(statement)
        return read.rows(cast("sqlite3.Connection", self._connection), parameters or {})

    def close(self) -> None:
        """Close the connection; a later read makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connect(self) -> sqlite3.Connection:
        pooled = await self._engine.raw_connection()
        connection = cast("sqlite3.Connection", pooled.driver_connection)
        pooled.detach()
        # Another may have been quicker.
        self.close()
        self._connection = connection
        return connection


class _Read:
    """A statement with what makes values of its columns."""

    def __init__(self, statement: Any) -> None:
        dialect = InlineDialect()
        self._prepared = Prepared(statement, dialect)
        columns = list(statement.selected_columns)
        self._row = cast("Any", namedtuple)("Row", [str(column.key) for column in columns], rename=True)._make
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._readers = [(place, reader) for place, reader in enumerate(readers) if reader is not None]

    def rows(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> list[Any]:
        found = connection.execute(self._prepared.sql, self._prepared.parameters(values)).fetchall()
        return [self._made(row) for row in found]

    def _made(self, row: Sequence[Any]) -> Any:
        values = list(row)
        for place, reader in self._readers:
            values[place] = reader(values[place])
        return self._row(values)
