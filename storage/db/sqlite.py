"""SQLite for asyncio without threads: each statement runs in the event loop, and only waiting for a lock yields to it.

A statement of ours takes microseconds, while handing one to a thread and its result back takes half a millisecond
(docs/decisions/0002-sqlite-in-the-event-loop.md). So none may take long: what goes over many rows goes in portions.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import Any

from sqlalchemy import URL, Pool, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util.concurrency import await_

from storage.db.engine import SQLITE_DRIVER

#: A commit waits for the disk only when so many pages are in the write-ahead log, 16 MB, and go into the file: what is
#: written again and again, four times less often than at SQLite's own 1000.
WAL_PAGES = 4000
#: How long a writer waits for another program's transaction on the file.
BUSY_TIMEOUT_SECONDS = 15.0
#: How long SQLite itself may wait, and with it everything else in the process …
BLOCKING_SECONDS = 0.01
#: … before the event loop has its turn for so long.
YIELD_SECONDS = 0.02


class InlineCursor(sqlite3.Cursor):
    """A cursor as SQLAlchemy's asyncio API wants it."""

    async def _async_soft_close(self) -> None:
        """Nothing is kept that a wait could set free."""


class InlineConnection(sqlite3.Connection):
    """A connection of such cursors."""

    def cursor(self, factory: Any = InlineCursor) -> Any:
        """A new one."""
        return super().cursor(factory)


class InlineDialect(SQLiteDialect_pysqlite):
    """Python's sqlite3 under SQLAlchemy's asyncio API: what is awaited is done at once."""

    driver = SQLITE_DRIVER
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        """The pool that waits for a free connection without blocking."""
        return AsyncAdaptedQueuePool

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Execute, awaiting something: SQLAlchemy takes a driver that awaits nothing for a mistake."""
        await_(_nothing())
        super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """The same for many rows."""
        await_(_nothing())
        super().do_executemany(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]


async def _nothing() -> None: ...


def make_engine(url: URL) -> AsyncEngine:
    """An engine for a file; transactions of an execution option `metka_write` take the writer's lock at once."""
    registry.register(f"sqlite.{SQLITE_DRIVER}", __name__, InlineDialect.__name__)
    arguments = {"timeout": BLOCKING_SECONDS, "factory": InlineConnection}
    engine = create_async_engine(url, connect_args=arguments, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _on_connect)
    event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's sqlite3 must not begin transactions by itself: `_on_begin` says which kind.
    connection.isolation_level = None
    # What is no UTF-8 in a row of another program's must not keep every other row from being read.
    connection.text_factory = _decoded
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"wal_autocheckpoint={WAL_PAGES}", "foreign_keys=ON"):
        _patiently(connection, f"PRAGMA {pragma}")


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _on_begin(connection: Any) -> None:
    # A writer takes the lock at once: upgrading a reader's snapshot fails with "database is locked" whatever
    # the busy timeout is (https://www.sqlite.org/isolation.html).
    write = connection.get_execution_options().get("metka_write")
    _patiently(connection.connection.driver_connection, "BEGIN IMMEDIATE" if write else "BEGIN")


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Execute; a lock that another program holds is waited for, while the event loop goes on.

    Raises:
        OperationalError: still locked after BUSY_TIMEOUT_SECONDS, or another trouble.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute(statement).close()
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not is_busy or time.monotonic() >= deadline:
                raise OperationalError(statement, None, error) from error
        await_(asyncio.sleep(YIELD_SECONDS))
