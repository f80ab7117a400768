"""Settings of connections to an SQLite file, and the beginning of its transactions."""

import sqlite3
from typing import Any, cast

from sqlalchemy import URL, AdaptedConnection, Connection, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.db.database_file import DatabaseFile

#: How long a statement waits for another program's transaction on the file.
BUSY_TIMEOUT_SECONDS = 15.0


def make_engine(url: URL, file: DatabaseFile) -> AsyncEngine:
    """An engine; a transaction with the execution option `metka_write` takes the writer's lock at once."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    # Without an isolation level Python's sqlite3 begins no transaction by itself: `_on_begin` does.
    arguments = {"timeout": BUSY_TIMEOUT_SECONDS, "isolation_level": None}
    engine = create_async_engine(url, connect_args=arguments, hide_parameters=True)
    # A new connection would make an empty file in the place of a deleted one.
    event.listen(engine.sync_engine, "do_connect", lambda *_: file.check())
    event.listen(engine.sync_engine, "connect", _on_connect)
    event.listen(engine.sync_engine, "connect", lambda *_: file.opened())
    event.listen(engine.sync_engine, "checkout", lambda *_: file.check())
    event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    # Another program may have written text that is not UTF-8: the other rows must stay readable.
    connection.driver_connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    # A reader that becomes a writer may fail with "database is locked", whatever the timeout
    # (https://www.sqlite.org/isolation.html).
    is_writer = connection.get_execution_options().get("metka_write")
    statement = "BEGIN IMMEDIATE" if is_writer else "BEGIN"
    adapted = cast("AdaptedConnection", connection.connection.dbapi_connection)
    try:
        # One call into the connection's thread, where a cursor of SQLAlchemy's takes three.
        adapted.run_async(lambda driver: driver.execute(statement))
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error
