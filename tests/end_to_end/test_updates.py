"""What people write is not lost with a process."""

from __future__ import annotations

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from tests.end_to_end.process import USER, Bot, environment, running_bot
from tests.storage.rows import add_user


async def until_waiting(bot: Bot, telegram: TelegramSandbox) -> None:
    """Wait until it has asked for updates again while it waits out a flood limit."""

    def polls() -> int:
        return len([call for call in telegram.calls if call.method == "getUpdates"])

    await bot.logs("started")
    await bot.logs("answer_waits")
    before = polls()
    await telegram.wait_for(lambda: polls() > before, 30)


@pytest.mark.slow
async def test_a_command_survives_kill_9(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Killed before it could answer, the bot answers at its next start, once; a clean stop leaves nothing."""
    async with database.write() as session:
        await add_user(session, 2)
    telegram.add_user(USER, "Ben", "en")
    settings = environment(migrated_url, telegram, provider)
    telegram.fail_next("sendMessage", 429, "Too Many Requests: retry after 50", retry_after=50)
    telegram.send_text(USER, "/stats")
    async with running_bot(settings) as bot:
        await until_waiting(bot, telegram)
        await bot.kill()
    assert telegram.from_bot(USER) == []
    async with running_bot(settings) as bot:
        await bot.logs("started")
        await telegram.wait_for(lambda: telegram.from_bot(USER), timeout=30)
        assert await bot.stop() == 0
    assert len(telegram.from_bot(USER)) == 1
    assert telegram.world.updates.pending == []
