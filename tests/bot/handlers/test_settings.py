"""/settings: each change is seen in the message, and Back leads to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from tests.bot.running import ANNA, BEN, Running, running_bot


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    assert [error for error in telegram.errors if error.method != "getUpdates"] == []
    assert telegram.unanswered() == []


def buttons(message: dict[str, Any]) -> list[str]:
    return [button["text"] for row in message["reply_markup"]["inline_keyboard"] for button in row]


async def test_changes_are_seen_in_the_message(bot: Running, telegram: TelegramSandbox) -> None:
    shown = (await bot.say(BEN, "/settings"))["message_id"]

    async def press(label: str, text: str) -> dict[str, Any]:
        await telegram.press(BEN, shown, label)
        return await bot.shows(BEN, text, shown)

    await press("🌍 Time zone", "Yours is not here?")
    await press("Moscow, UTC+3", "Time zone: Moscow, UTC+3")
    await press("❌ Failed posts", "How shall I tell you")
    await press("once a day at 09:00", "Failed posts: once a day at 09:00")
    await press("🌙 Quiet hours", "When shall they begin?")
    await press("23:00", "Quiet from 23:00. Until when?")
    await press("08:00", "Quiet hours: 23:00–08:00")
    await press("🌙 Quiet hours", "When shall they begin?")
    await press("🔔 No quiet hours", "Quiet hours: none")
    await press("🏷 Rules for tags", "Rules")
    main = await press("⬅️ Settings", "Failed posts: once a day at 09:00")
    assert buttons(main) == ["🌍 Time zone", "❌ Failed posts", "🌙 Quiet hours", "🏷 Rules for tags"]


async def test_settings_are_each_persons_own(bot: Running, telegram: TelegramSandbox) -> None:
    assert "Berlin" in (await bot.say(BEN, "/settings Europe/Berlin"))["text"]
    assert "I don't know this time zone" in (await bot.say(BEN, "/settings Mars"))["text"]
    assert "Berlin" in (await bot.say(BEN, "/settings"))["text"]
    assert "Часовой пояс: UTC" in (await bot.say(ANNA, "/settings"))["text"]
