"""Bring a database of any state to our tables, in one transaction; SQLite with a backup."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.db.engine import Database
from storage.migration.backup import Backup, BackupError
from storage.migration.inspection import (
    MIGRATIONS,
    column_names,
    foreign_reason,
    head_revision,
    is_current,
    refusal,
    refusal_of,
    revision,
    state_of,
    table_names,
)
from storage.migration.report import MigrationReport
from storage.schema.parser_tables import has_tags
from storage.schema.tables import Post

#: Any constant: migrations of one PostgreSQL database wait for each other on it.
ADVISORY_LOCK = 0x4D45544B41
#: How long a change of a table waits for the parser's open transactions on PostgreSQL.
LOCK_TIMEOUT = "30s"
#: Waits of one busy timeout each: another process may be migrating a large archive.
SQLITE_WAITS = 8


class MigrationError(Exception):
    """The database could not be migrated, and is as it was; the message says why."""


async def migrate(database: Database, *, now: datetime) -> MigrationReport:
    """Bring the database to our newest revision, or leave it as it was.

    Raises:
        MigrationError: no backup could be made, the tables are another program's, or a statement failed.
    """
    # A change of a large table may exceed STATEMENT_SECONDS.
    patient = database if database.is_sqlite else Database(database.url, statement_seconds=None)
    try:
        for _ in range(SQLITE_WAITS - 1):
            try:
                return await _migrate(patient, now)
            except OperationalError as error:
                if "database is locked" not in str(error.orig):
                    raise
        return await _migrate(patient, now)
    finally:
        if patient is not database:
            await patient.close()


async def _migrate(database: Database, now: datetime) -> MigrationReport:
    if reason := await refusal(database):
        raise MigrationError(reason)
    if await is_current(database):
        async with database.read() as session:
            return await _report_unchanged(await session.connection())
    changing, backup = False, None
    try:
        async with database.write() as session:
            connection = await session.connection()
            await _wait_for_others(database, connection)
            # Another process may have migrated meanwhile.
            if await connection.run_sync(revision) == head_revision():
                return await _report_unchanged(connection)
            await _refuse(connection, foreign_reason)
            backup = await _back_up(database, connection)
            changing = True
            report = await _upgrade(connection)
            if backup:
                report = replace(report, backup=backup.keep(now))
        return report
    except asyncio.CancelledError:
        # The commit may have gone through: a copy that has its name stays.
        if backup:
            backup.remove_part()
        raise
    except Exception as error:
        # A bot that restarts again and again must not fill the disk.
        if backup:
            backup.remove()
        # The commit, too, can fail on a full disk.
        if changing and isinstance(error, DBAPIError):
            raise MigrationError(f"the database refused a change, and is as it was: {error.orig}") from error
        raise


async def _refuse(connection: AsyncConnection, reason_of: Callable[[Connection], str | None]) -> None:
    if reason := await connection.run_sync(reason_of):
        raise MigrationError(reason)


async def _wait_for_others(database: Database, connection: AsyncConnection) -> None:
    # On SQLite the transaction has waited for the only writer.
    if not database.is_sqlite:
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


async def _upgrade(connection: AsyncConnection) -> MigrationReport:
    state = await connection.run_sync(state_of)
    columns = await connection.run_sync(column_names, "posts")
    await connection.run_sync(_run_revisions)
    await _refuse(connection, refusal_of)
    after = await connection.run_sync(column_names, "posts")
    added = tuple(name for name in after if columns and name not in columns)
    return replace(await _report_unchanged(connection), state=state, changed=True, columns_added=added)


async def _report_unchanged(connection: AsyncConnection) -> MigrationReport:
    return MigrationReport(
        state="ours",
        to_revision=head_revision(),
        statuses=await _statuses(connection),
        with_tags_success=await _with_tags_success(connection),
    )


async def _statuses(connection: AsyncConnection) -> dict[str, int]:
    status = sa.func.coalesce(Post.tagging_status, "pending")
    rows = await connection.execute(sa.select(status, sa.func.count()).group_by(status).order_by(status))
    return {status: count for status, count in rows.all()}  # noqa: C416 - for mypy, rows are no pairs


async def _with_tags_success(connection: AsyncConnection) -> int:
    condition = sa.text(f"tagging_status = 'success' AND {has_tags(connection.dialect.name)}")
    count = await connection.scalar(sa.select(sa.func.count()).select_from(Post).where(condition))
    return int(count or 0)


async def _back_up(database: Database, connection: AsyncConnection) -> Backup | None:
    if not database.is_sqlite or not await connection.run_sync(table_names):
        return None
    backup = Backup(Path(str(database.url.database)))
    try:
        await asyncio.to_thread(backup.make)
    except BackupError as error:
        raise MigrationError(str(error)) from error
    except asyncio.CancelledError:
        # The thread goes on without its caller.
        backup.break_off()
        raise
    return backup


def _run_revisions(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - half a second of start-up, and few starts migrate
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationError(str(error)) from error
