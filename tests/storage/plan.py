"""How a database means to read what a statement asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import Database


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
    made: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(beginning):
            made.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.write() as session:
        await work(session)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    statement, parameters = made[-1]
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as session:
        connection = await session.connection()
        for setting in () if database.is_sqlite else forbidden:
            await session.execute(sql(f"SET LOCAL {setting} = off"))
        rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(tuple(row)) for row in rows)
