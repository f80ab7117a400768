"""`python -m bot`, each statement written to a file as it is executed: when (monotonic seconds), and its first words.

    python -m benchmarks.counted_bot FILE

What opens and ends a transaction is written where SQLAlchemy executes it as a statement, which is on SQLite.
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

    @event.listens_for(Engine, "before_cursor_execute")
    def _write(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        file.write(f"{time.monotonic()}\t{' '.join(statement.split())[:LONGEST]}\n")


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w", buffering=1) as opened:
        write_to(opened)
        main([])
