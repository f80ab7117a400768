"""`python -m bot doctor`, and a start with what it finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from tests.end_to_end.process import ADMIN, environment, run, running_bot

pytestmark = pytest.mark.timeout(120)


def checks(output: str) -> list[str]:
    """How each check ended."""
    return [line.partition(": ")[0] for line in output.splitlines()]


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
        "ok    database",
        "ok    telegram",
        "ok    bot settings",
        "ok    updates",
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
        await telegram.wait_for(lambda: len([m for m in telegram.from_bot(ADMIN) if "I see new" in m["text"]]) == 2)
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
        *("FAIL  database", "ok    telegram", "ok    bot settings", "ok    updates", "ok    provider"),
    ]
    status, output = await run(settings)
    assert (status, len(output.splitlines())) == (1, 1)
    assert output.startswith("Metka cannot start. The ")
    assert "DATABASE_URL" in output
