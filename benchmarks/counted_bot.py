"""`python -m bot`, each statement written to a file as it is executed: when (monotonic seconds), and its first words.

    python -m benchmarks.counted_bot FILE

On SQLite as the database sees them, also those that go past SQLAlchemy; on PostgreSQL without what opens and ends a
transaction.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Engine, event

from bot.__main__ import main

LONGEST = 300


def write_to(file: TextIO) -> None:
    """Write every statement of the process from now on."""

    def write(statement: str) -> None:
        file.write(f"{time.monotonic()}\t{' '.join(statement.split())[:LONGEST]}\n")

    @event.listens_for(Engine, "connect")
    def _trace(connection: Any, _record: Any) -> None:
        # Known by what it can do: to import SQLite would cost a bot on PostgreSQL memory, which is measured, too.
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(write)

    @event.listens_for(Engine, "before_cursor_execute")
    def _note(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if connection.dialect.name != "sqlite":
            write(statement)


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w", buffering=1) as opened:
        write_to(opened)
        main([])
