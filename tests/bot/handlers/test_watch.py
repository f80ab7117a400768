"""/watch and /watches in private chats and groups, and the messages that watches send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.tags.counting import count_portion
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database
from storage.schema.tables import Person, Post
from storage.schema.watch_tables import WatchRow
from tests.bot.running import ANNA, BEN, Running, running_bot
from tests.storage.rows import add_posts

GROUP = -100500


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made


async def tagged(bot: Running, post_id: int, tags: list[str], text: str = "A text", **values: Any) -> None:
    """A new post of Ben's gets its tags, and the background tasks see it."""
    async with bot.database.write() as session:
        values = {"posted_at": utc_now() + timedelta(seconds=1), **values}
        await add_posts(session, 2, 1, first=post_id, text=text, tags=tags, tagging_status="success", **values)
    await look(bot)


async def look(bot: Running) -> bool:
    while await count_portion(bot.database, utc_now()):
        pass
    await bot.watching.compare()
    return await bot.watching.queue_due()


def told(telegram: TelegramSandbox, chat: int, words: str) -> list[dict[str, Any]]:
    return [message for message in telegram.from_bot(chat) if words in message["text"]]


def buttons(message: dict[str, Any]) -> list[str]:
    return [button["text"] for row in message.get("reply_markup", {}).get("inline_keyboard", []) for button in row]


async def test_new_posts_are_told_once_also_after_an_edit(bot: Running, telegram: TelegramSandbox) -> None:
    made = await bot.say(BEN, "/watch #energy panels -advert")
    await tagged(bot, 200, ["energy"], "panels", posted_at=utc_now() - timedelta(days=1))
    assert buttons(made) == ["✓ At once", "Hourly", "Daily", "⏸ Pause", "🗑 Remove"]
    await tagged(bot, 201, ["Energy"], "A solar panel <b>")
    await bot.shows(BEN, "#201")
    await tagged(bot, 202, ["energy"], "Panels: an advert")
    await tagged(bot, 203, ["sport"], "panels")
    async with bot.database.write() as session:
        await session.execute(update(Post).where(Post.id == 201).values(tags=["energy", "sun"]))
    assert not await look(bot)
    await tagged(bot, 204, ["energy"], "panels")
    await bot.shows(BEN, "#204")
    assert not any(told(telegram, BEN, f"#{number}") for number in (200, 202, 203))
    assert len(told(telegram, BEN, "#201")) == 1


async def test_a_merged_tag_is_followed_and_the_tags_page_has_a_button(bot: Running, telegram: TelegramSandbox) -> None:
    await tagged(bot, 201, ["solar power"])
    listed = await bot.say(BEN, "/tags")
    await telegram.press(BEN, listed["message_id"], "solar power · 1")
    page = await bot.shows(BEN, "solar power")
    card = next(m for m in telegram.from_bot(BEN) if "🔔 Watch" in buttons(m))
    assert page
    await telegram.press(BEN, card["message_id"], "🔔 Watch")
    await bot.shows(BEN, "🔔 #solar_power")
    vocabularies = Vocabularies(bot.database, utc_now, lambda: None)
    tag = await vocabularies.find(2, "solar power")
    await vocabularies.merge(2, tag.id, "energy")
    await tagged(bot, 202, ["energy"])
    await bot.shows(BEN, "#202")


async def test_watches_are_listed_changed_and_only_by_their_maker(bot: Running, telegram: TelegramSandbox) -> None:
    assert "You watch nothing yet" in (await bot.say(BEN, "/watches"))["text"]
    assert "since:" in (await bot.say(BEN, "/watch news since:2026"))["text"]
    assert "/watch #energy" in (await bot.say(BEN, "/watch -advert"))["text"]
    made = await bot.say(BEN, "/watch <news>")
    assert buttons(await bot.say(BEN, "/watches")) == ["🔔 <news>"]
    data = telegram.button_data(BEN, made["message_id"], "🗑 Remove")
    answer = await telegram.press(ANNA, (await bot.say(ANNA, "/watches"))["message_id"], data, forge=True)
    assert answer.text == "У вас нет такой подписки."
    await telegram.press(BEN, made["message_id"], "⏸ Pause")
    await bot.shows(BEN, "Paused", made["message_id"])
    await tagged(bot, 201, [], "news")
    await tagged(bot, 202, ["x"], "news")
    await telegram.press(BEN, made["message_id"], "▶️ Resume")
    await bot.shows(BEN, "Now: At once", made["message_id"])
    await telegram.press(BEN, made["message_id"], "Daily")
    await bot.shows(BEN, "Now: Daily", made["message_id"])
    await tagged(bot, 203, ["x"], "news")
    assert not await bot.watching.queue_due()
    await telegram.press(BEN, made["message_id"], "🗑 Remove")
    await bot.shows(BEN, "Removed", made["message_id"])
    assert told(telegram, BEN, "#202") == []


async def test_quiet_hours_hold_posts_back_and_join_them(bot: Running, telegram: TelegramSandbox) -> None:
    await bot.say(BEN, "/watch #news")
    await quiet(bot, utc_now().hour, (utc_now().hour + 2) % 24)
    for number in range(201, 213):
        await tagged(bot, number, ["news"])
    assert told(telegram, BEN, "#212") == []
    await quiet(bot, None, None)
    assert not await bot.watching.queue_due()
    async with bot.database.write() as session:
        await session.execute(update(WatchRow).values(next_at=utc_now()))
    assert await bot.watching.queue_due()
    news = await bot.shows(BEN, "#212")
    assert "#203" in news["text"]
    assert "And 2 more: /find #news" in news["text"]


async def quiet(bot: Running, begins: int | None, ends: int | None) -> None:
    async with bot.database.write() as session:
        values = {"quiet_from": begins, "quiet_until": ends}
        await session.execute(update(Person).where(Person.telegram_id == BEN).values(**values))


async def test_a_topic_gets_its_posts_and_a_lost_group_pauses_the_watch(
    bot: Running, telegram: TelegramSandbox
) -> None:
    telegram.group_message(GROUP, BEN, "/watch #news", message_thread_id=7, is_topic_message=True)
    made = await bot.shows(GROUP, "🔔 #news")
    other = await telegram.press(ANNA, made["message_id"], "🗑 Remove", chat_id=GROUP)
    assert other.text == "У вас нет такой подписки."
    await tagged(bot, 201, ["news"])
    await bot.shows(GROUP, "#201")
    sent = [call for call in telegram.calls if "#201" in str(call.params.get("text"))]
    assert [str(call.params.get("message_thread_id")) for call in sent] == ["7"]
    telegram.world.chats[GROUP].bot_is_member = False
    await tagged(bot, 202, ["news"])
    await bot.shows(BEN, "paused it")
    telegram.world.chats[GROUP].bot_is_member = True
    listed = await bot.say(BEN, "/watches")
    await telegram.press(BEN, listed["message_id"], "⏸ 👥 #news")
    card = await bot.shows(BEN, "Paused")
    await telegram.press(BEN, card["message_id"], "▶️ Resume")
    await bot.shows(BEN, "go to the group", card["message_id"])
    await look(bot)
    await bot.shows(GROUP, "#202")


async def test_posts_follow_a_group_that_has_become_a_supergroup(bot: Running, telegram: TelegramSandbox) -> None:
    moved = -100600
    telegram.group_message(GROUP, BEN, "/watch #news")
    await bot.shows(GROUP, "🔔 #news")
    telegram.group_message(moved, BEN, "hello")
    parameters = {"migrate_to_chat_id": moved}
    answer = {"ok": False, "error_code": 400, "description": "Bad Request: group chat was upgraded"}
    telegram.answer_oddly("sendMessage", json.dumps(answer | {"parameters": parameters}), 400)
    await tagged(bot, 201, ["news"])
    await bot.shows(moved, "#201")
    assert told(telegram, GROUP, "#201") == []
