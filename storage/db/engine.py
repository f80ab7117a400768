"""The engine and its transactions, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InvalidatePoolError,
    InvalidRequestError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from storage.db import libpq, sqlite
from storage.db.database_file import DatabaseFile
from storage.schema.parser_tables import COLUMNS_KEY

#: SQLite's result codes BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN (https://www.sqlite.org/rescode.html).
SQLITE_PASSING = {5, 6, 8, 10, 13, 14}
#: READONLY, IOERR, FULL: others may still read the file, and what is to be told cannot be stored.
SQLITE_UNWRITABLE = {8, 10, 13}
#: CORRUPT and NOTADB.
SQLITE_BROKEN = {11, 26}
#: PostgreSQL counts as unavailable after these: after a failover old connections stay silent.
CONNECT_SECONDS, STATEMENT_SECONDS = 10, 30
#: PostgreSQL ends a transaction that has sent no statement for so long.
IDLE_SECONDS = 15
#: Message of SQLAlchemy's pool when new connections die at checkout; it has no exception type for that.
POOL_GAVE_UP = "This connection is closed"
#: Name of the error of asyncpg (and of SQLAlchemy's adapter) for a statement on a connection that the server is ending.
OUT_OF_STEP = "InternalClientError"


class DatabaseUrlError(ValueError):
    """DATABASE_URL is not supported; the message says what is, and contains no password."""


def parse_url(url: str) -> URL:
    """`sqlite:///…`, `postgresql://…` or `postgres://…` → URL with our driver, or DatabaseUrlError."""
    allowed = "use sqlite:///path/to/file.db or postgresql://user:password@host/name"
    try:
        parsed = make_url(libpq.without_lists(url.strip()))
        backend = parsed.get_backend_name()
    except Exception as error:
        raise DatabaseUrlError(f"is not a database address: {allowed}") from error
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise DatabaseUrlError(f"names no file: {allowed}")
        return parsed.set(drivername="sqlite+aiosqlite")
    if "@" in f"{parsed.host}{parsed.database}":
        # The part of the password after its own @ would be taken for the host or the name, and shown in messages.
        raise DatabaseUrlError("has an @ in its password or name: write it percent-encoded, as %40")
    if backend in {"postgresql", "postgres"}:
        return _checked(libpq.with_parts_in_place(parsed.set(drivername="postgresql+asyncpg")))
    raise DatabaseUrlError(f"is of another kind ({backend}): {allowed}")


def _checked(url: URL) -> URL:
    try:
        place = libpq.translate(url).url
        # SQLAlchemy's own checks are of the hosts and ports.
        place.get_dialect()().create_connect_args(place)
    except (ValueError, SQLAlchemyError) as error:
        raise DatabaseUrlError(str(error)) from None
    return url


def shown(url: URL) -> str:
    """The address for messages: without driver, password and query, which may contain a password, too."""
    hosts = url.query.get("host", ())
    if hosts and not isinstance(hosts, str):
        url = url.set(host=hosts[0].partition(":")[0], port=None)
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is unavailable for now (gone, locked, full, restarting), and the statement not at fault."""
    if (code := _sqlite_code(error)) is not None:
        return code in SQLITE_PASSING
    if isinstance(error, OSError | PoolTimeoutError | InterfaceError | OperationalError):
        return True
    if isinstance(error, InvalidRequestError):
        return str(error) == POOL_GAVE_UP
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _is_connection_error(error.orig)
    return _is_connection_error(error)


def unavailable_reason(error: BaseException) -> str:
    """For the log: SQLite's own words, which hold no secret; of other drivers' errors the class."""
    return type(error).__name__ if _sqlite_code(error) is None else str(getattr(error, "orig", None))


def _sqlite_code(error: BaseException) -> int | None:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _is_connection_error(error: BaseException | None) -> bool:
    if type(error).__name__ == OUT_OF_STEP:
        return True
    # SQLSTATE classes: the server shuts down, starts or is full (08, 53, 57); the transaction can be repeated
    # (40: deadlock, serialization; 55: lock timeout).
    return str(getattr(error, "sqlstate", "") or "")[:2] in {"08", "40", "53", "55", "57"}


class Database:
    def __init__(self, url: URL, *, statement_seconds: float | None = STATEMENT_SECONDS) -> None:
        """`statement_seconds`: PostgreSQL's time for a statement; None: no limit."""
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.file = DatabaseFile(Path(str(url.database))) if self.is_sqlite else None
        #: LISTEN and locks of a session do not hold there.
        self.is_behind_pooler = not self.is_sqlite and libpq.is_transaction_pooler(url)
        self.engine = sqlite.make_engine(url, self.file) if self.file else _make_engine(url, statement_seconds)
        # What all sessions share: `parser_tables` keeps the tables' columns there.
        self._session_info: dict[str, Any] = {COLUMNS_KEY: {}}
        # SQLite has one writer: waiting here is fair, waiting inside SQLite is a lottery of busy handlers.
        self._writer = asyncio.Lock() if self.is_sqlite else nullcontext()
        #: Why the SQLite file cannot be written, since a transaction failed of it; `try_writing` finds the end.
        self.write_fault: str | None = None

    def read(self) -> AsyncSession:
        """A session for reading, a context manager; changes are rolled back."""
        return AsyncSession(self.engine, expire_on_commit=False, info=self._session_info)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed at the end, rolled back on an exception."""
        try:
            async with self._writer, self.read() as session, session.begin():
                # Begin now: a caller must read the clock after the wait for a lock or a new connection.
                await session.connection(execution_options={"metka_write": True})
                yield session
        except DBAPIError as error:
            if _sqlite_code(error) in SQLITE_UNWRITABLE:
                self.write_fault = unavailable_reason(error)
            raise

    async def try_writing(self) -> None:
        """Write a page of an SQLite file that could not be written, and forget the fault if that succeeds."""
        async with self.write() as session:
            version = await session.scalar(text("PRAGMA user_version"))
            await session.execute(text(f"PRAGMA user_version = {version}"))
        self.write_fault = None

    async def close(self) -> None:
        await self.engine.dispose()


def _make_engine(url: URL, statement_seconds: float | None) -> AsyncEngine:
    engine = make_postgresql_engine(
        url,
        {"command_timeout": statement_seconds},
        pool_size=5,
        max_overflow=5,
        pool_timeout=10,
        # An error's parameters would put the text of a post into the log.
        hide_parameters=True,
    )
    if not libpq.is_transaction_pooler(url):
        event.listen(engine.sync_engine, "connect", _on_postgresql_connect)
    event.listen(engine.sync_engine, "checkout", _on_postgresql_checkout)
    event.listen(engine.sync_engine, "handle_error", _on_postgresql_error)
    return engine


def make_postgresql_engine(url: URL, arguments: Mapping[str, Any], **options: Any) -> AsyncEngine:
    """`arguments`: asyncpg's, beside those of the address; `options`: SQLAlchemy's."""
    address = libpq.translate(url)
    arguments = {"timeout": CONNECT_SECONDS, **arguments, **address.arguments}
    return create_async_engine(address.url, connect_args=arguments, **options)


def _on_postgresql_connect(connection: Any, _record: Any) -> None:
    # An idle transaction belongs to a dead connection, whose locks would block others. pgbouncer refuses this as a
    # start-up parameter, and behind one that pools transactions it would hold for other programs.
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = {IDLE_SECONDS * 1000}")
    # A plan that was made while a table was small would be kept for long after it has grown.
    cursor.execute("SET plan_cache_mode = force_custom_plan")
    cursor.close()
    connection.commit()


def _on_postgresql_checkout(connection: Any, _record: Any, _proxy: Any) -> None:
    # Like SQLAlchemy's pre-ping, but a timeout counts, too: after a failover every connection of the pool is silent,
    # and each would cost a timeout.
    try:
        connection.ping()
    except (TimeoutError, connection.dbapi.Error) as error:
        raise InvalidatePoolError from error


def _on_postgresql_error(context: ExceptionContext) -> None:
    if isinstance(context.original_exception, TimeoutError):
        # SQLAlchemy would take it for a cancelled task and give up this connection alone.
        context.is_disconnect = context.invalidate_pool_on_disconnect = True
