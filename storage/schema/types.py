"""Column types that read what the parser wrote and write what it can read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Dialect, String, Text, cast, type_coerce
from sqlalchemy.types import TypeDecorator, TypeEngine

#: NUL and halves of surrogate pairs: JSON can say them, UTF-8 and PostgreSQL cannot hold them.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: Kept, since `json.dumps` would make one for each row.
_AS_JSON = json.JSONEncoder(ensure_ascii=False)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime in Python, a naive UTC timestamp in the database (the parser's convention).

    On SQLite the text is read tolerantly, since other programs write it: with a blank or a `T`, with or
    without a fraction or an offset. What cannot be read is None.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, where a timestamp is text anyway."""
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Aware (or naive UTC) → naive UTC, in SQLAlchemy's own text format on SQLite."""
        if value is None:
            return None
        utc = value if value.tzinfo is UTC or value.tzinfo is None else value.astimezone(UTC)
        naive = utc.replace(tzinfo=None)
        return naive.isoformat(" ", "microseconds") if dialect.name == "sqlite" else naive

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Whatever the column holds → aware UTC, or None."""
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
    """`posts.tags`: a JSON array of strings; SQL NULL, JSON null, and what is no array read as no tags.

    Nor are blank strings tags, or those that cannot be stored everywhere.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """JSON on PostgreSQL (the parser's type), text on SQLite."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSON  # noqa: PLC0415 - one dialect's own

            return dialect.type_descriptor(JSON())
        return dialect.type_descriptor(Text())

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read as text: PostgreSQL's driver would parse JSON itself, and fail with the whole page at one odd row."""
        return type_coerce(cast(column, Text), self)

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        """A list, or None for SQL NULL."""
        if value is None or dialect.name == "postgresql":
            return value
        return _AS_JSON.encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> list[str]:
        """Always a list of strings, empty when there are none."""
        return [item for item in strings_in(value) if is_tag(item)]


def strings_in(value: Any) -> list[str]:
    """What may be tags in a value of `posts.tags`, which is text or read already; those that are pass `is_tag`."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def is_tag(item: str) -> bool:
    """Not blank, and such as can be stored everywhere."""
    return bool(item.strip()) and not UNSTORABLE.search(item)


def as_text(value: Any) -> str | None:
    """What a column of text holds on SQLite, where any row may hold anything else → text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, str) else str(value)


def as_whole(value: Any) -> int | None:
    """What a column of whole numbers holds → that number; None when it is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None
