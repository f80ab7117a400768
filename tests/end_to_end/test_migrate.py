"""`python -m bot migrate` as a process that is asked to stop."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from tests.end_to_end.process import Bot, environment, run, running_bot
from tests.legacy import make_legacy

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


async def test_a_stopped_migration_begins_anew(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    path = tmp_path / "metka.db"
    await make_legacy(f"sqlite:///{path}", "parser")
    settings = environment(f"sqlite:///{path}", telegram, provider)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with running_bot(settings, "migrate") as command:
            await until_it_handles_sigterm(command, True)
            command.send(signal.SIGTERM)
            await until_it_handles_sigterm(command, False)
            other.execute("ROLLBACK")
            assert await command.ended() == 128 + signal.SIGTERM
    assert command.log == "Stopped. What was not finished is undone; the same command begins anew.\n"
    status, output = await run(settings, "migrate")
    assert (status, "Found: the parser's database" in output) == (0, True)
    assert count_backups(tmp_path) == 1


def count_backups(folder: Path) -> int:
    return len(list(folder.glob("*.bak*")))


async def until_it_handles_sigterm(command: Bot, handles: bool) -> None:
    """Read the mask of caught signals (proc(5))."""
    async with asyncio.timeout(60):
        while caught(command) is not handles:  # noqa: ASYNC110 - it is another process's
            await asyncio.sleep(0.01)


def caught(command: Bot) -> bool:
    status = Path(f"/proc/{command.pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1)
