"""`python -m bot migrate` as a process: asked to stop, and the files it leaves."""

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


async def test_what_is_made_is_private_and_what_is_there_keeps_its_mode(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    new, old = tmp_path / "data" / "metka.db", tmp_path / "old" / "metka.db"
    async with running_bot(environment(f"sqlite:///{new}", telegram, provider)) as bot:
        await bot.logs("started")
        assert modes(new.parent) == {
            "data": 0o700,
            **dict.fromkeys(("metka.db", "metka.db-wal", "metka.db-shm", "metka.db.lock"), 0o600),
        }
    await make_legacy(f"sqlite:///{old}", "parser")
    open_to_all(old)
    assert (await run(environment(f"sqlite:///{old}", telegram, provider), "migrate"))[0] == 0
    found = modes(old.parent)
    assert (found.pop("old"), found.pop("metka.db")) == (0o755, 0o644)
    assert {name[-4:]: mode for name, mode in found.items()} == {".bak": 0o600}


def open_to_all(file: Path) -> None:
    file.chmod(0o644)
    file.parent.chmod(0o755)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
