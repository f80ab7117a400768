"""The SQLite file is taken away from a running process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from tests.end_to_end.process import environment, running_bot

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]


@pytest.mark.parametrize(("command", "deleted"), [((), True), (("worker",), False)])
async def test_the_process_stops_with_one_line(
    command: tuple[str, ...],
    deleted: bool,
    tmp_path: Path,
    sqlite_template: Path,
    telegram: TelegramSandbox,
    provider: ProviderSandbox,
) -> None:
    path = tmp_path / "metka.db"
    shutil.copyfile(sqlite_template, path)
    async with running_bot(environment(f"sqlite:///{path}", telegram, provider), *command) as bot:
        await bot.logs("started")
        if deleted:
            path.unlink()
        else:
            shutil.copyfile(sqlite_template, tmp_path / "other.db")
            (tmp_path / "other.db").replace(path)
        await bot.logs("database_file_lost")
        assert await bot.ended() == 1
    assert bot.log.count("database_file_lost") == 1
    assert str(path) in bot.log
    assert "Traceback" not in bot.log
    assert path.exists() is not deleted
