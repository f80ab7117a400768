"""Bring a database to our tables, from whatever state it is in, in one transaction; SQLite with a backup.

Every start looks whether there is anything to do, and mostly there is not: Alembic is imported only when there is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.db.engine import Database
from storage.schema.parser_tables import has_tags
from storage.schema.tables import Channel, Post, User, UserChannel

State = Literal["absent", "parser", "parser_with_columns", "ours"]

#: Not Alembic's own name: the parser may keep its revisions in this database too.
VERSION_TABLE = "metka_alembic_version"
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
PARSER_TABLES = (User, Channel, UserChannel, Post)
PARSER_TAGGING = {"tagging_status", "tagging_attempts", "last_tagging_attempt", "tagging_error"}
#: What the migration cannot add to the parser's posts: without these it is another program's table.
POSTS_REQUIRED = {"id", "user_id", "channel_id", "telegram_message_id", "text", "posted_at"}
#: Any constant number: the migrations of one PostgreSQL database wait for each other on it.
ADVISORY_LOCK = 0x4D45544B41
#: How long a change of a table waits for the parser's open transactions on PostgreSQL.
LOCK_TIMEOUT = "30s"
#: How often to wait for SQLite's writer, by the busy timeout each: another process migrating a large archive.
SQLITE_WAITS = 8


class MigrationError(Exception):
    """The database could not be migrated, and is as it was; the message says why."""


@dataclass(frozen=True)
class MigrationReport:
    """What a migration found, and what it left."""

    state: State
    backup: Path | None
    from_revision: str | None
    to_revision: str
    changed: bool
    #: How many posts have each status, of all posts.
    statuses: dict[str, int]
    #: Posts that have tags and are 'success'.
    with_tags_success: int
    #: Columns that `posts` did not have.
    columns_added: tuple[str, ...] = ()


async def inspect_state(database: Database) -> State:
    """Which of the four states the database is in."""
    async with database.read() as session:
        return await (await session.connection()).run_sync(_state)


async def is_current(database: Database) -> bool:
    """Whether the database is at our newest revision."""
    async with database.read() as session:
        return await (await session.connection()).run_sync(_revision) == _head()


async def migrate(database: Database, *, now: datetime) -> MigrationReport:
    """Bring the database to our newest revision, or leave it exactly as it was.

    Raises:
        MigrationError: no backup could be made, the tables are another program's, or a statement failed.
    """
    # A change of a large table takes as long as it takes.
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
    if await is_current(database):
        async with database.read() as session:
            return await _report_unchanged(await session.connection())
    changing, backup = False, None
    try:
        async with database.write() as session:
            connection = await session.connection()
            await _wait_for_others(database, connection)
            # Another process may have been here while this one waited.
            if await connection.run_sync(_revision) == _head():
                return await _report_unchanged(connection)
            await connection.run_sync(_refuse_foreign)
            backup = await _back_up(database, connection, now)
            changing = True
            report = await _upgrade(connection, backup)
    except BaseException as error:
        # Nothing was changed, and a bot that is restarted again and again must not fill the disk.
        if backup:
            backup.unlink(missing_ok=True)
        # Also the commit itself fails on a full disk.
        if changing and isinstance(error, DBAPIError):
            raise MigrationError(f"the database refused a change, and is as it was: {error.orig}") from error
        raise
    return report


async def _wait_for_others(database: Database, connection: AsyncConnection) -> None:
    # On SQLite the transaction itself has waited for the only writer there is.
    if not database.is_sqlite:
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
        await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


async def _upgrade(connection: AsyncConnection, backup: Path | None) -> MigrationReport:
    state = await connection.run_sync(_state)
    before = await connection.run_sync(_revision)
    columns = await connection.run_sync(_columns, "posts")
    await connection.run_sync(_run_revisions)
    after = await connection.run_sync(_columns, "posts")
    return MigrationReport(
        state=state,
        backup=backup,
        from_revision=before,
        to_revision=_head(),
        changed=True,
        statuses=await _statuses(connection),
        with_tags_success=await _with_tags_success(connection),
        columns_added=tuple(name for name in after if columns and name not in columns),
    )


async def _report_unchanged(connection: AsyncConnection) -> MigrationReport:
    head = _head()
    return MigrationReport(
        state="ours",
        backup=None,
        from_revision=head,
        to_revision=head,
        changed=False,
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


async def _back_up(database: Database, connection: AsyncConnection, now: datetime) -> Path | None:
    if not database.is_sqlite or not await connection.run_sync(_table_names):
        return None
    from storage.migration.backup import BackupError, back_up  # noqa: PLC0415 - imports SQLite, which PostgreSQL does not need

    try:
        return await asyncio.to_thread(back_up, Path(str(database.url.database)), now)
    except BackupError as error:
        raise MigrationError(str(error)) from error


def _run_revisions(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 15 MB that a start without a migration does not need
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationError(str(error)) from error


def _head() -> str:
    """The newest revision, by the names of its files: 0001_…, 0002_…"""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")).partition("_")[0]


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))


def _state(connection: Connection) -> State:
    if _revision(connection):
        return "ours"
    if not _table_names(connection) & {model.__tablename__ for model in PARSER_TABLES}:
        return "absent"
    return "parser_with_columns" if PARSER_TAGGING & set(_columns(connection, "posts")) else "parser"


def _table_names(connection: Connection) -> set[str]:
    return set(sa.inspect(connection).get_table_names())


def _columns(connection: Connection, table: str) -> list[str]:
    inspector = sa.inspect(connection)
    return [column["name"] for column in inspector.get_columns(table)] if inspector.has_table(table) else []


def _refuse_foreign(connection: Connection) -> None:
    # A table `users` is in every other program's database too: better to say so than to build on it.
    for model in PARSER_TABLES:
        table = model.__tablename__
        present = set(_columns(connection, table))
        required = POSTS_REQUIRED if table == "posts" else set(model.__table__.columns.keys())
        if present and required - present:
            missing = ", ".join(sorted(required - present))
            raise MigrationError(
                f"the table {table} is not the parser's (it lacks {missing}): give Metka a database of its own"
            )
    if _has_array_tags(connection):
        raise MigrationError(
            "posts.tags is an array of PostgreSQL's, where the parser has JSON: change its type to json, or give Metka"
            " a database of its own"
        )


def _has_array_tags(connection: Connection) -> bool:
    if "tags" not in _columns(connection, "posts"):
        return False
    types = {column["name"]: column["type"] for column in sa.inspect(connection).get_columns("posts")}
    return isinstance(types["tags"], sa.ARRAY)


FOUND = {
    "absent": "Found: an empty database; created its tables.",
    "parser": "Found: the parser's database, without columns for tagging.",
    "parser_with_columns": "Found: the parser's database, with its own columns for tagging.",
    "ours": "Found: an earlier version of this database.",
}


def describe(report: MigrationReport) -> list[str]:
    """Lines to print: what was found, what was done, and the numbers."""
    if report.changed:
        lines = [FOUND[report.state]]
        if report.backup:
            lines.append(f"Backup: {report.backup}")
        if report.columns_added:
            lines.append(f"Columns added to posts: {', '.join(report.columns_added)}")
        lines.append(f"Migrated to revision {report.to_revision}.")
    else:
        lines = [f"Nothing to do: the database is at revision {report.to_revision}."]
    return lines + _describe_statuses(report)


def _describe_statuses(report: MigrationReport) -> list[str]:
    words = {
        "pending": "with text and without tags: pending",
        "retrying": "to be tried again: retrying",
        "failed": "whose attempts are used up: failed",
        "skipped": "without text: skipped" if report.changed else "without text, or skipped by a person: skipped",
    }
    lines = [f"{_posts(report.with_tags_success)} with tags: success"]
    others = report.statuses.get("success", 0) - report.with_tags_success
    if others:
        lines.append(f"{_posts(others)} without tags: success")
    for status, meaning in words.items():
        count = report.statuses.get(status, 0)
        if count or status in {"pending", "skipped"}:
            lines.append(f"{_posts(count)} {meaning}")
    return lines


def _posts(count: int) -> str:
    return f"{count} post" if count == 1 else f"{count} posts"
