"""Statements that are compiled once: SQLAlchemy does anew for each execution, and each row, what is always the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import UpdateBase


class Prepared:
    """A statement in the driver's words, and what makes its parameters of values."""

    def __init__(self, statement: Any, dialect: Dialect, columns: Collection[str] | None = None) -> None:
        """`columns`: of an INSERT or UPDATE, those that values are given for besides the statement's parameters."""
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        self._names: list[str] = list(compiled.positiontup)
        binds = {name: compiled.binds[name] for name in self._names}
        self._constants = {name: bind.value for name, bind in binds.items() if not bind.required}
        kinds = [binds[name].type.dialect_impl(dialect) for name in self._names]
        processors = [kind.bind_processor(dialect) for kind in kinds]
        self._processors = [(place, process) for place, process in enumerate(processors) if process is not None]

    def parameters(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """In the order of the statement; also of names that it does not have."""
        known = {**self._constants, **given} if self._constants else given
        values = [known[name] for name in self._names]
        for place, process in self._processors:
            values[place] = process(values[place])
        return tuple(values)


async def execute_many(session: AsyncSession, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute an INSERT, UPDATE or DELETE for each of the rows, which have the same keys: columns, and parameters.

    Keep the statement as long as it is needed. Defaults that SQLAlchemy would fill in are not.
    """
    if not rows:
        return
    connection = await session.connection()
    prepared = _prepared(statement, connection.dialect, tuple(rows[0]))
    await connection.exec_driver_sql(prepared.sql, [prepared.parameters(row) for row in rows])


@lru_cache(maxsize=64)
def _prepared(statement: UpdateBase, dialect: Dialect, columns: tuple[str, ...]) -> Prepared:
    return Prepared(statement, dialect, columns)
