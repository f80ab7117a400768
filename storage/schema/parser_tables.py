"""The parser's tables, which differ between installations: columns, tags as JSON, given-up posts."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import Boolean, ColumnElement, CursorResult, Inspector
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import PARSER_VERDICT
from storage.schema.tables import Base, Post, User
from storage.schema.types import UtcDateTime

#: What Python's `str.strip` takes for blank, as code points; the databases' own trim knows only the space.
BLANK_CODES = (
    *range(0x09, 0x0E),
    *range(0x1C, 0x21),
    *(0x85, 0xA0, 0x1680),
    *range(0x2000, 0x200B),
    *(0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
)

#: How JSON spells NUL and halves of surrogate pairs.
ODD_ESCAPES = ("\\u0000", "\\ud", "\\uD")

#: Key of `AsyncSession.info` under which `Database` keeps what `table_columns` has read.
COLUMNS_KEY = "table_columns"


def has_tags(dialect: str, column: str = "tags") -> str:
    """SQL: whether a JSON column holds a non-empty array; never NULL. Without jsonb, which refuses some valid json."""
    if dialect == "sqlite":
        return (
            f"(CASE WHEN {column} IS NOT NULL AND json_valid({column}) THEN"
            f" json_type({column}) = 'array' AND json_array_length({column}) > 0 ELSE 0 END)"
        )
    array = f"CASE WHEN json_typeof(CAST({column} AS json)) = 'array' THEN CAST({column} AS json) END"
    return f"(coalesce(json_array_length({array}), 0) > 0)"


def may_have_tag(dialect: str, column: str, tag: str) -> sa.TextClause:
    """Whether a post may have the tag; true in doubt: both databases change an escaped NUL or surrogate."""
    condition = _may_have_on_sqlite(column) if dialect == "sqlite" else _may_have_on_postgresql(column)
    return sa.text(condition).bindparams(tag=tag, plain=json.dumps(tag, ensure_ascii=False))


def _may_have_on_sqlite(column: str) -> str:
    is_odd = " OR ".join(f"instr({column}, '{escape}')" for escape in ODD_ESCAPES)
    element = f"SELECT 1 FROM json_each({column}) AS element WHERE element.value = :tag"  # noqa: S608 - no input
    return (
        f"(CASE WHEN NOT instr({column}, '\\') THEN instr({column}, :plain) WHEN {is_odd} THEN 1"
        f" WHEN json_valid({column}) THEN EXISTS ({element}) END)"
    )


def _may_have_on_postgresql(column: str) -> str:
    text, array = f"CAST({column} AS text)", f"CAST({column} AS json)"
    is_odd = " OR ".join(f"strpos({text}, '{escape}') > 0" for escape in ODD_ESCAPES)
    element = f"SELECT 1 FROM json_array_elements_text({array}) AS element(value) WHERE element.value = :tag"  # noqa: S608
    return (
        f"(CASE WHEN strpos({text}, '\\') = 0 THEN strpos({text}, :plain) > 0 WHEN {is_odd} THEN true"
        f" WHEN json_typeof({array}) = 'array' THEN EXISTS ({element}) ELSE false END)"
    )


def is_blank(dialect: str, column: str = "text") -> str:
    """SQL: whether a text is NULL or only whitespace, as Python understands it; never NULL."""
    if dialect == "sqlite":
        blanks = f"char({', '.join(str(code) for code in BLANK_CODES)})"
        return f"(coalesce(trim({column}, {blanks}), '') = '')"
    blanks = "E'" + "".join(f"\\u{code:04x}" for code in BLANK_CODES) + "'"
    return f"(coalesce(btrim({column}, {blanks}), '') = '')"


async def adopt_parser_verdicts(session: AsyncSession) -> int:
    """Set posts to 'failed' that the parser gave up ('skipped' with an error); returns how many."""
    dialect = session.get_bind().dialect.name
    untagged = f"NOT {has_tags(dialect, 'posts.tags')} AND NOT {is_blank(dialect, 'posts.text')}"
    statement = (
        sa.update(Post)
        .where(sa.text(PARSER_VERDICT), sa.text(f"tagging_error <> '' AND {untagged}"))
        .values(tagging_status="failed", failure_kind="exhausted", lease_token=None, lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )
    result = cast("CursorResult[Any]", await session.execute(statement))
    return result.rowcount


@dataclass(frozen=True)
class OptionalColumns:
    users_is_blocked: bool = False
    users_block_expires: bool = False


@dataclass(frozen=True)
class TableColumns:
    names: frozenset[str]
    #: Columns for which an INSERT must give a value: NOT NULL, no default, not part of the key.
    required: dict[str, sa.types.TypeEngine[Any]]


async def table_columns(session: AsyncSession, model: type[Base]) -> TableColumns:
    """The columns of the model's table, inspected once per `Database`."""
    known: dict[str, TableColumns] = session.info.setdefault(COLUMNS_KEY, {})
    name = model.__tablename__
    if name not in known:
        connection = await session.connection()
        known[name] = await connection.run_sync(lambda sync: _inspect_columns(sa.inspect(sync), name))
    return known[name]


def _inspect_columns(inspector: Inspector, table: str) -> TableColumns:
    columns = inspector.get_columns(table)
    keys = set(inspector.get_pk_constraint(table)["constrained_columns"])
    required = {
        column["name"]: column["type"] for column in columns if column["name"] not in keys and _is_required(column)
    }
    return TableColumns(frozenset(column["name"] for column in columns), required)


def _is_required(column: ReflectedColumn) -> bool:
    generated = column.get("identity") or column.get("computed")
    return not column["nullable"] and column["default"] is None and not generated


async def optional_columns(session: AsyncSession) -> OptionalColumns:
    names = (await table_columns(session, User)).names
    return OptionalColumns(
        users_is_blocked="is_blocked" in names,
        users_block_expires="block_expires" in names,
    )


def may_use_clause(columns: OptionalColumns, *, now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Whether a row of `users` may use the bot: active (NULL counts as active) and not blocked now."""
    active = sa.or_(User.is_active.is_(None), User.is_active.is_(True))
    if not columns.users_is_blocked:
        return active
    blocked: ColumnElement[bool] = sa.literal_column("users.is_blocked", Boolean).is_(True)
    if columns.users_block_expires:
        expires = sa.literal_column("users.block_expires", UtcDateTime)
        blocked = sa.and_(blocked, sa.or_(expires.is_(None), expires > now))
    # A block that is NULL is none: NOT (NULL) would lose the row.
    return sa.and_(active, sa.not_(sa.func.coalesce(blocked, sa.false())))


async def insert_row(session: AsyncSession, model: type[Base], values: dict[str, Any], *, now: datetime) -> sa.Row[Any]:
    """Insert a row into a parser's table, with neutral values in unknown required columns; returns its key."""
    statement, neutral = await insert_into(session, model, values, now=now)
    keys = cast("sa.Table", model.__table__).primary_key
    result = await session.execute(statement.values({**neutral, **values}).returning(*keys))
    return cast("sa.Row[Any]", result.one())


async def insert_into(
    session: AsyncSession, model: type[Base], names: Collection[str], *, now: datetime
) -> tuple[sa.Insert, dict[str, Any]]:
    """An INSERT of these columns, and neutral values for other required ones."""
    required = (await table_columns(session, model)).required
    others = {name: kind for name, kind in required.items() if name not in names}
    table = cast("sa.Table", model.__table__)
    columns = [sa.column(name, table.c[name].type) for name in names]
    target = sa.table(table.name, *columns, *(sa.column(name, kind) for name, kind in others.items()))
    return sa.insert(target), {name: _neutral(kind, now) for name, kind in others.items()}


def _neutral(kind: sa.types.TypeEngine[Any], now: datetime) -> Any:
    naive = now.astimezone(UTC).replace(tzinfo=None)
    if isinstance(kind, sa.DateTime):
        return naive.replace(tzinfo=UTC) if kind.timezone else naive
    if isinstance(kind, sa.Enum):
        return kind.enums[0] if kind.enums else ""
    simple: list[tuple[type[sa.types.TypeEngine[Any]], Any]] = [
        (sa.Boolean, False),
        (sa.Integer, 0),
        (sa.Numeric, 0),
        (sa.Float, 0.0),
        (sa.Date, naive.date()),
        (sa.Time, naive.time()),
        (sa.JSON, {}),
        (sa.ARRAY, []),
        (sa.LargeBinary, b""),
    ]
    return next((value for base, value in simple if isinstance(kind, base)), "")
