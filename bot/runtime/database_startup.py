"""Opening the database at start: wait until it answers, lock it (SQLite), migrate it."""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from sqlalchemy import URL

from bot.errors import CommandError, StartError
from bot.settings import Settings, SettingsError, load_settings
from services.clock import utc_now
from storage.db.engine import SQLITE_BROKEN, Database, is_unavailable, parse_url, shown
from storage.db.file_lock import AlreadyRunning, FileLock
from storage.migration.inspection import inspect_state, is_current, refusal_of
from storage.migration.migrate import MigrationError, migrate
from storage.migration.report import describe
from storage.queue import leases, model_states

log = structlog.get_logger(__name__)

BEHIND_POOLER = (
    "run one bot only, and any workers; rows of other programs are seen every RETRY_INTERVAL_SECONDS. For more bots, "
    "and to be woken at once, name the server itself in DATABASE_URL, or its pooler's session mode"
)
REACH_SECONDS = 10.0
#: asyncpg's errors when another connection of the server's runs the statement than the one that prepared it.
_OF_ANOTHER_CONNECTION = {"InvalidSQLStatementNameError", "DuplicatePreparedStatementError"}


def settings_or_stop() -> Settings:
    """Raises StartError if a setting is wrong."""
    try:
        return load_settings()
    except SettingsError as error:
        raise StartError(str(error)) from None


def address(settings: Settings) -> URL:
    return parse_url(settings.database_url.get_secret_value())


def connect(url: URL) -> Database:
    """The database need not answer yet. Raises StartError if the folder of an SQLite file cannot be made."""
    try:
        return Database(url)
    except OSError as error:
        folder = Path(str(url.database)).parent
        raise StartError(
            f"The database's folder {folder} cannot be made ({error.strerror}). "
            "Name a file in DATABASE_URL whose folder is there, or can be made."
        ) from None


async def reach(database: Database) -> None:
    """Wait until the database answers.

    Raises:
        StartError: after REACH_SECONDS, with the address without its password; or if the SQLite file may not be
            written, or this version cannot use the database.
    """
    _check_writable(database.url)
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        try:
            async with asyncio.timeout(max(0.5, deadline - time.monotonic())), database.read() as session:
                reason = await (await session.connection()).run_sync(refusal_of)
            break
        except Exception as error:
            if lasting := _lasting(database.url, error):
                raise StartError(lasting) from None
            if not is_unavailable(error) and not isinstance(error, TimeoutError):
                raise StartError(_unusable(database.url, error)) from None
            if time.monotonic() + 0.5 >= deadline:
                raise StartError(_passing(database.url, error)) from None
        await asyncio.sleep(0.5)
    if reason:
        raise StartError(reason)


def _lasting(url: URL, error: BaseException) -> str | None:
    """The message about an error that waiting does not mend. SQLSTATE 28: login; 3D: no such database."""
    cause, where = _cause(error), shown(url)
    if getattr(cause, "sqlite_errorcode", None) in SQLITE_BROKEN:
        return f"The file of {where} is no SQLite database, or a damaged one: name another file in DATABASE_URL."
    if at_connecting := _of_connecting(where, cause):
        return at_connecting
    match str(getattr(cause, "sqlstate", None) or "")[:2]:
        case "28":
            return f"The database {where} refuses the user or the password ({cause}). Check both in DATABASE_URL."
        case "3D":
            return f"The server of {where} has no such database ({cause}). Create it, or name another in DATABASE_URL."
    return None


def _of_connecting(where: str, cause: BaseException) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {where} is not trusted ({cause.verify_message}). Name the authority's file in "
            "DATABASE_URL (sslrootcert=…), or sslmode=require, which does not check."
        )
    if "rejected SSL upgrade" in str(cause):
        return f"The server of {where} has no encryption: write sslmode=prefer or disable in DATABASE_URL."
    if type(cause).__name__ in _OF_ANOTHER_CONNECTION:
        return f"{where} is a pooler of transactions: add pgbouncer=true to the parameters of DATABASE_URL."
    return None


def _passing(url: URL, error: BaseException) -> str:
    cause, where = _cause(error), shown(url)
    if url.get_backend_name() == "sqlite":
        # SQLite's messages hold no secret.
        reason = str(cause) or type(cause).__name__
        return (
            f"The database {where} cannot be used ({reason}). Check that DATABASE_URL names a file in a folder where "
            "Metka may write, that the disk has room, and that no other program holds the file."
        )
    reason = "no such host" if isinstance(cause, socket.gaierror) else type(cause).__name__
    if getattr(cause, "sqlstate", None):
        reason = f"{reason}: {' '.join(str(cause).split())}"
    return f"The database {where} does not answer ({reason}). Check DATABASE_URL and that the server runs."


def _unusable(url: URL, error: BaseException) -> str:
    cause = _cause(error)
    # Other messages may hold parts of the address.
    words = f": {' '.join(str(cause).split())}" if getattr(cause, "sqlstate", None) else ""
    return f"The database {shown(url)} cannot be used ({type(cause).__name__}{words}). Check DATABASE_URL."


def _cause(error: BaseException) -> BaseException:
    """The driver's own error, under SQLAlchemy's and its adapter's."""
    adapted: BaseException | None = getattr(error, "orig", None)
    return (adapted.__cause__ or adapted) if adapted else error


def _make_sure_of_file(url: URL) -> None:
    # Opening a missing file would make an empty one.
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise CommandError(f"There is no database at {url.database}: start the bot, or look at DATABASE_URL.")


def _check_writable(url: URL) -> None:
    """Raises StartError if this user may not write an SQLite file, or beside it."""
    file = Path(str(url.database))
    for path in (file, file.parent) if url.get_backend_name() == "sqlite" else ():
        if os.access(path, os.F_OK) and not os.access(path, os.W_OK):
            raise StartError(f"Metka may not write to {path}: check its owner, its mode, and how the disk is mounted.")


@asynccontextmanager
async def current_database(settings: Settings) -> AsyncIterator[Database]:
    """The database, for a command beside the bot. Raises StartError, or CommandError if it must be migrated first."""
    url = address(settings)
    _make_sure_of_file(url)
    database = connect(url)
    try:
        await reach(database)
        if not await is_current(database):
            raise CommandError("The database has to be migrated: start the bot, or run python -m bot migrate")
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The migrated database, locked for this process on SQLite. Raises StartError if it cannot be used."""
    async with AsyncExitStack() as stack:
        database = connect(address(settings))
        stack.push_async_callback(database.close)
        # Before the lock: no lock file is left beside a file that is no database.
        await reach(database)
        if database.is_behind_pooler:
            log.warning("database_behind_transaction_pooler", todo=BEHIND_POOLER)
        if database.is_sqlite:
            _lock(stack, Path(str(database.url.database)))
        await _migrate_at_start(database, auto=settings.auto_migrate)
        await _take_over(database)
        yield database


async def _take_over(database: Database) -> None:
    """Free what an earlier process held; it also shows whether the database can be written."""
    try:
        async with database.write() as session:
            await model_states.reopen(session, utc_now())
            if database.is_sqlite:
                await leases.release_all(session)
                await model_states.forget_probes(session)
    except Exception as error:
        if not is_unavailable(error):
            raise
        raise StartError(_passing(database.url, error)) from None


def _lock(stack: AsyncExitStack, path: Path) -> None:
    try:
        stack.enter_context(FileLock(path))
    except AlreadyRunning as error:
        raise StartError(str(error)) from None
    except OSError as error:
        raise StartError(f"Cannot write beside {path}: {error.strerror}. Check DATABASE_URL.") from None


async def _migrate_at_start(database: Database, *, auto: bool) -> None:
    if await is_current(database):
        return
    by_hand = "run: .venv/bin/python -m bot migrate"
    if not auto:
        raise StartError(f"The database has to be migrated and AUTO_MIGRATE is false: {by_hand}")
    if not database.is_sqlite and (await inspect_state(database)).startswith("parser"):
        raise StartError(f"This is a Telegram Channel Parser database. Make a backup, then take it over: {by_hand}")
    try:
        for line in describe(await migrate(database, now=utc_now())):
            log.info("migration", line=line)
    except MigrationError as error:
        raise StartError(str(error)) from None
