"""While the database or Telegram is away nobody is left without an answer, and nothing of a channel's is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.keyboards.posts.stats import RefreshStatsButton
from bot.telegram import middlewares as product
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database, parse_url
from tests.bot.running import BEN, Running, running_bot, until

CHANNEL = -1001234567890
UNAVAILABLE = "Temporarily unavailable"


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made


@pytest.fixture
async def impatient(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    """Answers a press before its handler has ended."""
    async with running_bot(database, telegram, provider, press_answered_within=0.0) as made:
        yield made


@asynccontextmanager
async def away(database: Database, seconds: float = 0.0) -> AsyncIterator[None]:
    """Whoever asks the database in the block loses the connection, after so many seconds."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    nowhere = Database(parse_url(f"postgresql://nobody@127.0.0.1:{port}/nowhere"))
    engine, database.engine = database.engine, nowhere.engine
    try:
        yield
    finally:
        database.engine = engine
        server.close()
        await nowhere.close()


async def test_a_command_is_told_that_the_database_is_away(bot: Running) -> None:
    """And works again once it is back."""
    async with away(bot.database):
        assert UNAVAILABLE in (await bot.say(BEN, "/stats"))["text"]
    assert "You have 3 posts" in (await bot.say(BEN, "/stats"))["text"]


async def test_a_press_is_told_so_in_its_answer(bot: Running, telegram: TelegramSandbox) -> None:
    """The button stops spinning, with the reason."""
    shown = await bot.say(BEN, "/stats")
    async with away(bot.database):
        assert UNAVAILABLE in (await telegram.press(BEN, shown["message_id"], 0)).text


async def test_a_press_that_fails_late_is_told_so_in_a_message(impatient: Running, telegram: TelegramSandbox) -> None:
    """The button stops spinning soon; the reason follows when it is known."""
    bot = impatient
    shown = await bot.say(BEN, "/stats")
    async with away(bot.database, seconds=0.2):
        assert (await telegram.press(BEN, shown["message_id"], 0)).text == ""
        await bot.shows(BEN, UNAVAILABLE)


async def test_what_could_not_be_told_is_told_later(bot: Running, telegram: TelegramSandbox) -> None:
    """Telegram away as well: the person learns of the failure once it is back, and once only."""
    telegram.fail_next("sendMessage", 502, "Bad Gateway")
    async with away(bot.database):
        telegram.send_text(BEN, "/stats")
        await bot.shows(BEN, UNAVAILABLE)
    await bot.say(BEN, "/help")
    assert len(telegram.from_bot(BEN)) == 2


async def test_an_answer_that_telegram_did_not_take_does_not_cut_off_the_work(
    impatient: Running, telegram: TelegramSandbox
) -> None:
    """The press is answered before its work is done; that this fails is no reason to leave it undone."""
    bot = impatient
    shown = await bot.say(BEN, "/help")
    telegram.fail_next("answerCallbackQuery", 502, "Bad Gateway")
    await telegram.press(BEN, shown["message_id"], RefreshStatsButton(everybody=False).pack(), forge=True)
    await bot.shows(BEN, "You have 3 posts", shown["message_id"])


async def test_a_channels_post_waits_for_the_database(
    bot: Running, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would send it again: it is stored once the database is back."""
    monkeypatch.setattr(product, "DATABASE_PAUSE", 0.1)
    telegram.add_channel(CHANNEL, "News", "news")
    telegram.add_bot_to_channel(CHANNEL, BEN)
    await bot.shows(BEN, "From now on I tag new posts in News")
    async with away(bot.database):
        telegram.channel_post(CHANNEL, "A new bridge over the river is open")
        assert UNAVAILABLE in (await bot.say(BEN, "/stats"))["text"]
        assert [update for update in telegram.world.updates.pending if "channel_post" in update]
    await until(lambda: not telegram.world.updates.pending)
    assert "You have 4 posts" in (await bot.say(BEN, "/stats"))["text"]
