"""One statement for many rows, compiled once: SQLAlchemy does for each row what is the same for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import UpdateBase


async def execute_many(session: AsyncSession, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute an INSERT, UPDATE or DELETE for each of the rows, which have the same keys: columns, and parameters.

    Keep the statement as long as it is needed. Defaults that SQLAlchemy would fill in are not.
    """
    if not rows:
        return
    connection = await session.connection()
    prepared = _prepared(statement, connection.dialect, tuple(rows[0]))
    await connection.exec_driver_sql(prepared.sql, [prepared.parameters(row) for row in rows])


class _Prepared:
    """A statement in the driver's words, and what makes its parameters of a row's values."""

    def __init__(self, statement: UpdateBase, dialect: Dialect, keys: tuple[str, ...]) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        self.sql = str(compiled)
        self._names: list[str] = list(compiled.positiontup)
        kinds = [compiled.binds[name].type.dialect_impl(dialect) for name in self._names]
        processors = [kind.bind_processor(dialect) for kind in kinds]
        self._processors = [(place, process) for place, process in enumerate(processors) if process is not None]

    def parameters(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """In the order of the statement."""
        values = [row[name] for name in self._names]
        for place, process in self._processors:
            values[place] = process(values[place])
        return tuple(values)


@lru_cache(maxsize=64)
def _prepared(statement: UpdateBase, dialect: Dialect, keys: tuple[str, ...]) -> _Prepared:
    return _Prepared(statement, dialect, keys)
