"""Processes that are measured: started, their processor time read, ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Where `make bench` installs what is only compared with.
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"


def cpu_seconds(pid: int) -> float:
    """Processor time of a running process, all its threads, in steps of 10 ms (Linux)."""
    # The name, in brackets, may hold spaces; user and system time are the 14th and 15th field.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def ending(process: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    """Killed at the end of the block, if it has not ended."""
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
