"""Column types that the parser and Metka can both read."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, String, Text, cast, type_coerce
from sqlalchemy.types import TypeDecorator, TypeEngine

#: NUL and halves of surrogate pairs: JSON can say them, UTF-8 and PostgreSQL cannot hold them.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_AS_JSON = json.JSONEncoder(ensure_ascii=False)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime in Python, a naive UTC timestamp in the database (the parser's convention).

    Other programs write SQLite's texts in other ISO 8601 formats, too. An unreadable time is None.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        utc = value if value.tzinfo is UTC or value.tzinfo is None else value.astimezone(UTC)
        naive = utc.replace(tzinfo=None)
        return naive.isoformat(" ", "microseconds") if dialect.name == "sqlite" else naive

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        try:
            if isinstance(value, str):
                value = datetime.fromisoformat(value)
            if not isinstance(value, datetime):
                return None
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            # Overflow: an offset that leads out of the calendar.
            return None


class TagList(TypeDecorator[list[str]]):
    """`posts.tags`: a JSON array of strings; anything else reads as no tags.

    Blank strings and strings that PostgreSQL cannot store are left out.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSON  # noqa: PLC0415 - one dialect's own

            return dialect.type_descriptor(JSON())
        return dialect.type_descriptor(Text())

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read as text: asyncpg would decode JSON itself, and one odd row would fail the whole page."""
        return type_coerce(cast(column, Text), self)

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return _AS_JSON.encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> list[str]:
        return [item for item in strings_in(value) if is_tag(item)]


def strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def is_tag(item: str) -> bool:
    """Not blank, and storable on both databases."""
    return bool(item.strip()) and not UNSTORABLE.search(item)


def as_text(value: Any) -> str | None:
    """A text column's value as text: SQLite accepts other types."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, str) else str(value)


def as_whole(value: Any) -> int | None:
    """An integer column's value as a number, or None: SQLite accepts other types."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None
