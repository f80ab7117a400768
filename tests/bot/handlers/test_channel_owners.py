"""What the owner of a channel sees of it: the bot as its administrator, and each tagged post, where they want that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from bot.keyboards.channels.channels import ChannelAction, ChannelButton
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from storage.schema.tables import Channel
from tests.bot.running import ANNA, BEN, Running, running_bot

CHANNEL = -1001234567890


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    assert [error for error in telegram.errors if "not modified" not in error.description] == []
    assert telegram.unanswered() == []


def now(bot: Running, message: dict[str, Any]) -> dict[str, Any]:
    """The message as it stands."""
    number, chat = message["message_id"], message["chat"]["id"]
    return next(each for each in bot.telegram.from_bot(chat) if each["message_id"] == number)


def labels(message: dict[str, Any]) -> list[str]:
    return [button["text"] for row in message["reply_markup"]["inline_keyboard"] for button in row]


def titled(message: dict[str, Any], title: str) -> str:
    return next(label for label in labels(message) if title in label)


@pytest.mark.parametrize(
    ("person", "admin", "on", "off", "told", "again"),
    [
        (BEN, "I'm an admin here", "🔔 Tell me of each", "🔕 Stop telling", "I tell you of each", "🔄 New tags"),
        (ANNA, "я администратор", "🔔 Сообщать о", "🔕 Не сообщать", "сообщаю о каждом", "🔄 Новые теги"),
    ],
)
async def test_an_owner_hears_of_each_tagged_post_while_they_want(
    bot: Running,
    telegram: TelegramSandbox,
    provider: ProviderSandbox,
    person: int,
    admin: str,
    on: str,
    off: str,
    told: str,
    again: str,
) -> None:
    """Off at first. Without a sound, with buttons, and nothing on the way to the tags."""
    telegram.add_channel(CHANNEL, "Our news", "ournews")
    telegram.add_bot_to_channel(CHANNEL, person)
    await bot.shows(person, "Our news")
    listed = await bot.say(person, "/channels")
    assert admin in listed["text"]
    at = listed["message_id"]
    await telegram.press(person, at, titled(listed, "Our news"))
    card = await bot.shows(person, admin, at)
    await telegram.wait_for(lambda: [label for label in labels(now(bot, card)) if label.startswith(on)])
    await telegram.press(person, at, titled(now(bot, card), on))
    await bot.shows(person, told, at)
    provider.plan_for("A new bridge", "http_503", times=1)
    telegram.channel_post(CHANNEL, "A new bridge over the river is open")
    heard = await bot.shows(person, "new bridge over the river")
    assert heard["text"].startswith("✅")
    assert again in labels(heard)
    [sent] = [call for call in telegram.calls if "new bridge" in str(call.params.get("text"))]
    assert str(sent.params["disable_notification"]).lower() == "true"
    await telegram.press(person, heard["message_id"], again)
    await telegram.wait_for(lambda: now(bot, heard)["edits"] >= 2 and now(bot, heard)["text"].startswith("✅"), 20)
    await telegram.press(person, at, titled(now(bot, card), off))
    await telegram.wait_for(lambda: [label for label in labels(now(bot, card)) if label.startswith(on)])
    telegram.channel_post(CHANNEL, "A second bridge is being built")
    telegram.send_forward(person, CHANNEL, 77, "The third bridge is asked for", 1_700_000_000)
    await bot.shows(person, "The third bridge")
    assert not [message for message in telegram.from_bot(person) if "second bridge" in message["text"]]


async def test_nobody_else_switches_an_owners_news(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.add_channel(CHANNEL, "Our news", "ournews")
    telegram.add_bot_to_channel(CHANNEL, BEN)
    await bot.shows(BEN, "Our news")
    mine = await bot.say(ANNA, "/channels")
    assert "Our news" not in mine["text"]
    async with bot.database.read() as session:
        theirs = await session.scalar(select(Channel.id).where(Channel.channel_id == CHANNEL)) or 0
    for action in (ChannelAction.TELL, ChannelAction.HUSH):
        data = ChannelButton(action=action, channel=theirs, page=1, card=True).pack()
        answer = await telegram.press(ANNA, mine["message_id"], data, forge=True)
        assert "среди ваших" in answer.text
    card = (await bot.say(BEN, "/channels"))["text"]
    assert "I tell you" not in card
