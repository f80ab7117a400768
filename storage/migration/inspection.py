"""What a database holds before a migration: whose tables, and at which revision."""

from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.schema import CreateColumn

from storage.db.engine import Database
from storage.schema.source_tables import SourceRow
from storage.schema.tables import Channel, Post, User, UserChannel

State = Literal["absent", "parser", "parser_with_columns", "ours"]

#: Not Alembic's default: the parser may keep its revisions in this database, too.
VERSION_TABLE = "metka_alembic_version"
MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
PARSER_TABLES = (User, Channel, UserChannel, Post)
PARSER_TAGGING = {"tagging_status", "tagging_attempts", "last_tagging_attempt", "tagging_error"}
#: A table `posts` without these columns is another program's.
POSTS_REQUIRED = {"id", "user_id", "channel_id", "telegram_message_id", "text", "posted_at"}


async def inspect_state(database: Database) -> State:
    async with database.read() as session:
        return await (await session.connection()).run_sync(state_of)


async def is_current(database: Database) -> bool:
    async with database.read() as session:
        return await (await session.connection()).run_sync(revision) == head_revision()


async def refusal(database: Database) -> str | None:
    """Why this version cannot use the database, which no migration mends; None if it can."""
    async with database.read() as session:
        return await (await session.connection()).run_sync(refusal_of)


def refusal_of(connection: Connection) -> str | None:
    found = revision(connection)
    if found is None or found in _revisions()[:-1]:
        return None
    if found == head_revision():
        return _incomplete(connection)
    return (
        f"This database is of a newer Metka (revision {found}, and this version knows {head_revision()}): "
        "update Metka, or restore the backup that was made before the update."
    )


def _incomplete(connection: Connection) -> str | None:
    """A revision that was edited after it ran, or another program, leaves a database that starts and tags nothing."""
    present = {
        name: {column["name"] for column in columns}
        for (_, name), columns in sa.inspect(connection).get_multi_columns().items()
    }
    # source_tables imports the models of storage.schema.tables.
    tables = SourceRow.metadata.sorted_tables
    missing = [f"the table {table.name}" for table in tables if table.name not in present]
    columns = [column for table in tables for column in table.c if column.name not in present.get(table.name, table.c)]
    if not missing and not columns:
        return None
    lacks = ", ".join([*missing, *(f"{column.table.name}.{column.name}" for column in columns)])
    by_hand = "; ".join(_add_column(connection, column) for column in columns)
    return (
        f"This database is marked as revision {head_revision()}, but lacks {lacks}: a development version of Metka "
        "made it, or another program changed it. Restore a backup from before and migrate that"
        + (f", or add what is missing: {by_hand}" if by_hand and not missing else ".")
    )


def _add_column(connection: Connection, column: sa.Column[Any]) -> str:
    written = CreateColumn(column).compile(dialect=connection.dialect)
    return f"ALTER TABLE {column.table.name} ADD COLUMN {' '.join(str(written).split())}"


def head_revision() -> str:
    return _revisions()[-1]


def _revisions() -> list[str]:
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def revision(connection: Connection) -> str | None:
    """The database's revision; None before the first migration."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))


def state_of(connection: Connection) -> State:
    if revision(connection):
        return "ours"
    if not table_names(connection) & {model.__tablename__ for model in PARSER_TABLES}:
        return "absent"
    return "parser_with_columns" if PARSER_TAGGING & set(column_names(connection, "posts")) else "parser"


def table_names(connection: Connection) -> set[str]:
    return set(sa.inspect(connection).get_table_names())


def column_names(connection: Connection, table: str) -> list[str]:
    inspector = sa.inspect(connection)
    return [column["name"] for column in inspector.get_columns(table)] if inspector.has_table(table) else []


def foreign_reason(connection: Connection) -> str | None:
    """Why the tables cannot be the parser's; None if they can."""
    for model in PARSER_TABLES:
        table = model.__tablename__
        present = set(column_names(connection, table))
        required = POSTS_REQUIRED if table == "posts" else set(model.__table__.columns.keys())
        if present and required - present:
            missing = ", ".join(sorted(required - present))
            return f"the table {table} is not the parser's (it lacks {missing}): give Metka a database of its own"
    columns = sa.inspect(connection).get_columns("posts") if column_names(connection, "posts") else []
    if any(column["name"] == "tags" and isinstance(column["type"], sa.ARRAY) for column in columns):
        return (
            "posts.tags is an array of PostgreSQL's, where the parser has JSON: change its type to json, or give Metka"
            " a database of its own"
        )
    return None
