"""How a database means to read what a statement asks for."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.engine import Database
from storage.schema.tables import Base

#: Indexes of a part of a table.
PARTIAL = [
    str(index.name) for table in Base.metadata.tables.values() for index in table.indexes if "where" in index.info
]


async def plan_of(
    database: Database,
    work: Callable[[AsyncSession], Awaitable[Any]],
    *,
    beginning: str = "",
    forbidden: Sequence[str] = ("enable_seqscan",),
) -> str:
    """The plan of the last statement with that beginning that `work` makes.

    `forbidden`: PostgreSQL reads a small table whole unless that is forbidden; what can be done in no other way
    still is.
    """
    return (await plans_of(database, work, beginning=beginning, forbidden=forbidden))[-1]


async def plans_of(
    database: Database,
    work: Callable[[AsyncSession], Awaitable[Any]],
    *,
    beginning: str = "",
    forbidden: Sequence[str] = ("enable_seqscan",),
) -> list[str]:
    """The plans of all statements with that beginning, in their order; what they did is undone."""
    made: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        if statement.lstrip().startswith(beginning) and statement != "BEGIN" and not is_many:
            made.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.read() as session:
        await work(session)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    return [await _explained(database, statement, parameters, forbidden) for statement, parameters in made]


async def _explained(database: Database, statement: str, parameters: Any, forbidden: Sequence[str]) -> str:
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as session:
        connection = await session.connection()
        for setting in () if database.is_sqlite else forbidden:
            await session.execute(sql(f"SET LOCAL {setting} = off"))
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(tuple(row)) for row in rows)


def is_full_scan(line: str) -> bool:
    """Whether a line of a plan reads all posts or attempts, be it from an index; a partial one holds only a few."""
    if any(name in line for name in PARTIAL):
        return False
    if "Scan" in line:
        return bool(re.search(r"Seq Scan on (posts|metka_attempts)\b", line))
    return bool(re.search(r"'SCAN (posts|metka_attempts|row|post|best)\b", line))
