"""`python -m bot doctor`, and a start with what it finds."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.migration.inspection import VERSION_TABLE
from tests.end_to_end.process import ADMIN, environment, run, running_bot
from tests.http_proxy import http_proxy

pytestmark = pytest.mark.timeout(120)


def checks(output: str) -> list[str]:
    """How each check ended."""
    return [line.partition(": ")[0] for line in output.splitlines()]


@pytest.mark.slow
async def test_without_administrators_the_bot_starts_and_says_so(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    settings = environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider)
    status, output = await run(settings, "doctor")
    assert (status, f"ok    administrators: {ADMIN}\n" in output) == (0, True)
    nobody = {**settings, "ADMIN_IDS": ""}
    status, output = await run(nobody, "doctor")
    assert status == 0, output
    assert checks(output) == [
        "ok    settings",
        "warn  administrators",
        "warn  database",
        "ok    telegram",
        "ok    bot settings",
        "ok    updates",
        "ok    channels",
        "ok    provider",
    ]
    assert "put your own Telegram id into ADMIN_IDS in .env" in output
    async with running_bot(nobody) as bot:
        await bot.logs("started")
        warned = [line for line in bot.log.splitlines() if "no_administrators" in line]
        assert len(warned) == 1
        assert '"level": "warning"' in warned[0]
        assert "ADMIN_IDS" in warned[0]
        assert await bot.stop() == 0


@pytest.mark.slow
async def test_all_goes_through_the_proxy_of_the_variables(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Doctor and the bot; but for what NO_PROXY names."""
    async with http_proxy({"telegram.invalid": telegram.url, "models.invalid": provider.url}) as proxy:
        settings = {
            **environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider),
            "TELEGRAM_API_URL": "http://telegram.invalid",
            "OPENROUTER_BASE_URL": "http://models.invalid/v1",
            # Its quota is asked for at the start.
            "OPENROUTER_MODEL": "one/model:free",
            "ALL_PROXY": f"socks5://127.0.0.1:{proxy.port}",
        }
        status, output = await run(settings, "doctor")
        assert status == 0, output
        assert {"SOCKS5 telegram.invalid:80", "SOCKS5 models.invalid:80"} == set(proxy.asked)
        proxy.asked.clear()
        status, output = await run({**settings, "NO_PROXY": "models.invalid"}, "doctor")
        assert "ok    telegram" in output
        assert "FAIL  provider: The provider does not answer" in output
        proxy.asked.clear()
        async with running_bot(settings) as bot:
            await bot.logs("started")
            async with asyncio.timeout(30), proxy.news:
                await proxy.news.wait_for(lambda: len(set(proxy.asked)) == 2)
            assert await bot.stop() == 0


async def test_what_telegram_says_of_the_bot_is_compared_with_the_settings(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Another program's webhook, and rights that are missing in channels."""
    settings = environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider)
    telegram.add_user(ADMIN, "Boss", started=True)
    async with running_bot(settings) as bot:
        for channel in (-1001, -1002):
            telegram.add_channel(channel, f"News {channel}")
            telegram.add_bot_to_channel(channel, ADMIN)
        await telegram.wait_for(
            lambda: len([m for m in telegram.from_bot(ADMIN) if "From now on I tag" in m["text"]]) == 2, 60
        )
        assert await bot.stop() == 0
    status, output = await run(settings, "doctor")
    assert (status, "ok    channels: 2 with all rights" in output) == (0, True), output
    telegram.world.chats[-1001].bot_is_member = False
    telegram.world.updates.webhook.url = "https://elsewhere.example/secret-path"
    status, output = await run(settings, "doctor")
    assert status == 0
    assert "warn  updates: a webhook at elsewhere.example is set" in output
    assert "warn  channels: News -1001: " in output
    assert "News -1002" not in output
    assert "secret-path" not in output


@pytest.mark.parametrize("path", [pytest.param("/proc/x/metka.db", marks=pytest.mark.slow), "{folder}/README.md"])
async def test_a_bad_file_is_one_line_of_several(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox, path: str
) -> None:
    """And the only one at the start."""
    (tmp_path / "README.md").write_text("words " * 1000)
    path = path.format(folder=tmp_path)
    settings = environment(f"sqlite:///{path}", telegram, provider)
    status, output = await run(settings, "doctor")
    assert status == 1
    assert checks(output)[2:] == [
        *("FAIL  database", "ok    telegram", "ok    bot settings", "ok    updates"),
        *("ok    channels", "ok    provider"),
    ]
    status, output = await run(settings)
    assert (status, len(output.splitlines())) == (1, 1)
    assert output.startswith("Metka cannot start. The ")
    assert "DATABASE_URL" in output


async def test_a_database_of_a_newer_version_fails_and_stops_the_start(
    tmp_path: Path, sqlite_template: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    path = tmp_path / "metka.db"
    shutil.copyfile(sqlite_template, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0099'")
    settings = environment(f"sqlite:///{path}", telegram, provider)
    status, output = await run(settings, "doctor")
    assert status == 1
    assert "FAIL  database: This database is of a newer Metka (revision 0099" in output
    status, output = await run({**settings, "AUTO_MIGRATE": "false"})
    assert (status, len(output.splitlines())) == (1, 1)
    assert output.startswith("Metka cannot start. This database is of a newer Metka (revision 0099")
