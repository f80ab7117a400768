"""Statements that are executed, as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from storage.db.engine import Database

TRANSACTION_WORDS = ("BEGIN", "COMMIT", "ROLLBACK")


class Statements:
    """Those since the last `forget`, apart from what opens and ends transactions."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._news = asyncio.Event()

    def forget(self) -> None:
        """Count anew."""
        self.made.clear()

    def add(self, statement: str) -> None:
        """One is executed now."""
        if not statement.startswith(TRANSACTION_WORDS):
            self.made.append(" ".join(statement.split()))
            self._news.set()

    def about(self, words: str) -> int:
        """How many hold these words."""
        return sum(words in statement for statement in self.made)

    async def until(self, words: str, count: int = 1) -> None:
        """Wait until there are so many with these words."""
        async with asyncio.timeout(20):
            while self.about(words) < count:
                self._news.clear()
                await self._news.wait()


@contextmanager
def noted(database: Database) -> Iterator[Statements]:
    """Every statement on the database, on whatever engine, while the block runs."""
    statements = Statements()

    def note(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if connection.engine.url.database == database.url.database:
            statements.add(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)
