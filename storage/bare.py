"""Reads of SQLite on a bare connection: SQLAlchemy takes ten times a statement's time to make it."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from storage.sqlite import InlineDialect

T = TypeVar("T")
Convert = Callable[[Any], Any]


class BareReader:
    """One connection that only reads; it stays open, since nothing on it is ever awaited."""

    dialect_name = "sqlite"

    def __init__(self, engine: AsyncEngine) -> None:
        """The connection is made as the engine makes its own, when something is read for the first time."""
        self._engine = engine
        self._connection: sqlite3.Connection | None = None
        self._prepared: WeakKeyDictionary[Executable, _Prepared] = WeakKeyDictionary()

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
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = _Prepared(statement)
        return prepared.rows(cast("sqlite3.Connection", self._connection), parameters or {})

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


class _Prepared:
    """A statement as SQLite is given it, with what makes its parameters of values, and values of its columns."""

    def __init__(self, statement: Any) -> None:
        dialect = InlineDialect(paramstyle="named")
        compiled = statement.compile(dialect=dialect)
        columns = list(statement.selected_columns)
        self._sql = str(compiled)
        names = [str(column.key) for column in columns]
        row = cast("Any", namedtuple)("Row", names, rename=True)
        self._row = row._make
        readers = [_reader(column.type, dialect) for column in columns]
        self._readers = [(place, reader) for place, reader in enumerate(readers) if reader is not None]
        writers = {name: (bind, _writer(bind.type, dialect)) for bind, name in compiled.bind_names.items()}
        self._open = {name: write for name, (bind, write) in writers.items() if bind.required}
        self._set = {name: write(bind.value) for name, (bind, write) in writers.items() if not bind.required}

    def rows(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> list[Any]:
        parameters = self._set | {name: write(values[name]) for name, write in self._open.items()}
        return [self._read(row) for row in connection.execute(self._sql, parameters).fetchall()]

    def _read(self, row: Sequence[Any]) -> Any:
        read = list(row)
        for place, reader in self._readers:
            read[place] = reader(read[place])
        return self._row(read)


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _writer(kind: TypeEngine[Any], dialect: Dialect) -> Convert:
    return kind.dialect_impl(dialect).bind_processor(dialect) or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value
