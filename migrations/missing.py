"""Create only what is missing: another program may have made the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op


def create_table(name: str, *parts: sa.schema.SchemaItem) -> None:
    """Create a table unless one of that name exists."""
    if not _inspector().has_table(name):
        op.create_table(name, *parts)


def add_columns(table: str, *columns: sa.Column[Any]) -> None:
    """Add the columns that the table lacks; a plain ADD COLUMN never rebuilds the table."""
    present = {column["name"] for column in _inspector().get_columns(table)}
    for column in columns:
        if column.name not in present:
            op.add_column(table, column)


def create_index(name: str, table: str, columns: list[Any], where: str | None = None) -> None:
    """Create an index, partial with `where`, unless one of that name exists."""
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns, if_not_exists=True, sqlite_where=condition, postgresql_where=condition)


def set_default(table: str, column: str, default: str) -> None:
    """Give a column a server default if it has none; SQLite cannot, and NULL is read as the default there."""
    if op.get_bind().dialect.name == "sqlite":
        return
    columns = {item["name"]: item for item in _inspector().get_columns(table)}
    if columns[column]["default"] is None:
        op.alter_column(table, column, server_default=default)


def _inspector() -> sa.Inspector:
    # A new inspector each time: an inspector caches.
    return sa.inspect(op.get_bind())
