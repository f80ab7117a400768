"""What the bot says unasked: it arrives once, keeps Telegram's limits, and its buttons work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from storage import outbox as rows
from storage.db.engine import Database
from storage.schema.tables import Person
from tests.bot.running import ANNA, BEN, BOSS, Running, running_bot
from tests.services.engine import CHAIN


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    assert telegram.unanswered() == []


async def fail(bot: Running, owner: int, *post_ids: int) -> None:
    async with bot.database.write() as session:
        for post_id in post_ids:
            await rows.post_failed(session, post_id, owner, utc_now())


async def tell(bot: Running, payload: dict[str, str]) -> None:
    async with bot.database.write() as session:
        await rows.tell_admins(session, [BOSS], payload, utc_now())


async def tell_all(bot: Running, telegram: TelegramSandbox, people: range) -> None:
    """Each of them hears the same."""
    for person in people:
        telegram.add_user(person, "Carl", "en", started=True)
    async with bot.database.write() as session:
        await rows.tell_admins(session, people, {"text": "recovered"}, utc_now())
    for person in people:
        await bot.shows(person, "The provider answers again")


async def test_one_failed_post(bot: Running, telegram: TelegramSandbox) -> None:
    await bot.say(ANNA, "/help")
    await fail(bot, ANNA, 3)
    notice = await bot.shows(ANNA, "❌ #3")
    assert "Сбой у провайдера" in notice["text"]
    assert [b["text"] for b in telegram.buttons(ANNA, notice["message_id"])] == [
        "🔁 Повторить",
        "ℹ️ Подробнее",
        "⏭ Пропустить",
    ]
    await telegram.press(ANNA, notice["message_id"], "🔁 Повторить")
    await bot.shows(ANNA, "✅ #3", notice["message_id"])
    assert len(telegram.from_bot(ANNA)) == 2


async def test_many_failed_posts_make_one_message(bot: Running, telegram: TelegramSandbox) -> None:
    await fail(bot, BEN, 11, 12, 13)
    notice = await bot.shows(BEN, "3 posts were not tagged")
    assert "odd <b> & error" in notice["text"]
    await telegram.press(BEN, notice["message_id"], 0)
    done = await bot.shows(BEN, "3 of 3", notice["message_id"])
    assert "Done" in done["text"]
    assert len(telegram.from_bot(BEN)) == 1


async def test_a_flood_wait_is_waited_for_and_nothing_is_said_twice(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.fail_next("sendMessage", 429, "Too Many Requests: retry after 1", retry_after=1)
    telegram.fail_next("sendMessage", 502, "Bad Gateway")
    await tell(bot, {"text": "account", "reason": "HTTP 402: the account is out of credit"})
    notice = await bot.shows(BOSS, "run out of money")
    assert (await telegram.press(BOSS, notice["message_id"], "🔁 Try now")).text
    await nothing_is_open(bot)
    assert len(telegram.from_bot(BOSS)) == 1


async def test_who_blocked_the_bot_is_left_alone_until_they_return(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.block(BOSS)
    await tell(bot, {"text": "recovered"})

    async def is_known() -> bool:
        async with bot.database.read() as session:
            return await session.scalar(select(Person.reachable).where(Person.telegram_id == BOSS)) is False

    async with asyncio.timeout(20):
        while not await is_known():  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.01)
    await nothing_is_open(bot)
    # Once, if it was quicker than the news of the block.
    assert len([error for error in telegram.errors if error.method == "sendMessage"]) <= 1
    telegram.send_text(BOSS, "/help")
    await bot.shows(BOSS, "The provider answers again")


async def test_stop_takes_the_rest_out_of_the_queue(
    bot: Running, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    provider.hold()
    answer = await bot.say(BEN, "/retry 3")
    await telegram.press(BEN, answer["message_id"], "⏹ Stop")
    provider.release()
    stopped = await bot.shows(BEN, "Stopped", answer["message_id"])
    assert "reply_markup" not in stopped


async def test_many_are_told_without_a_refusal(bot: Running, telegram: TelegramSandbox) -> None:
    """Telegram takes thirty messages in any second."""
    await tell_all(bot, telegram, range(2001, 2041))
    assert telegram.errors == []


async def test_what_waits_for_longer_than_it_is_held_is_told_once(
    bot: Running, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram does not answer for a while: meanwhile it is taken out of the outbox again and again."""
    monkeypatch.setattr(rows, "SENDING_FOR", timedelta(0))
    people = range(2001, 2011)
    await tell_all(bot, telegram, people)
    await nothing_is_open(bot)
    assert [len(telegram.from_bot(person)) for person in people] == [1] * len(people)


@pytest.mark.parametrize(("part", "method"), [("queries", "posts"), ("outbox", "sent")], ids=["before", "after"])
async def test_when_the_database_goes_away_at_a_notice_it_is_said_once(
    bot: Running, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    """Before it is made, or after Telegram has taken it: said when it is back, or only recorded then."""
    monkeypatch.setattr(rows, "SENDING_FOR", timedelta(0))
    works, times = getattr(getattr(bot, part), method), count()

    async def once_away(*arguments: Any, **named: Any) -> Any:
        if next(times) == 0:
            raise ConnectionError
        return await works(*arguments, **named)

    monkeypatch.setattr(getattr(bot, part), method, once_away)
    await fail(bot, BEN, 11)
    await bot.shows(BEN, "❌ #11")
    await nothing_is_open(bot)
    assert len(telegram.from_bot(BEN)) == 1


async def test_what_joins_a_notice_that_the_database_did_not_hear_of_is_said_alone(
    bot: Running, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next failure of the same person, while the first one's row still stands open."""
    monkeypatch.setattr(rows, "NOTICE_EVERY", timedelta(0))
    monkeypatch.setattr(rows, "SENDING_FOR", timedelta(0))
    sent, times = bot.outbox.sent, count()

    async def once_away(*arguments: Any, **named: Any) -> None:
        if next(times) == 0:
            await fail(bot, BEN, 12)
            raise ConnectionError
        await sent(*arguments, **named)

    monkeypatch.setattr(bot.outbox, "sent", once_away)
    await fail(bot, BEN, 11)
    await bot.shows(BEN, "❌ #12")
    await nothing_is_open(bot)
    assert ["#11" in message["text"] for message in telegram.from_bot(BEN)] == [True, False]


async def nothing_is_open(bot: Running) -> None:
    async with asyncio.timeout(20):
        while await bot.outbox.any_open():  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.01)


async def test_in_a_pause_of_tagging_who_waits_is_told_so(
    bot: Running, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    telegram.add_channel(-1001234567890, "News", "news")
    for model in CHAIN:
        provider.model_fault(model, "account_401")
    assert "paused" not in (await bot.say(BEN, "/regen 12"))["text"]
    async with asyncio.timeout(20):
        while (await bot.tagging.provider_state()).state == "open":  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.01)
    asked = await bot.say(BEN, "/regen 13")
    assert "#13 goes first" in asked["text"]
    assert "Tagging is paused: the provider does not accept the API key" in asked["text"]
    telegram.send_forward(BEN, -1001234567890, 5, "The city opens a new library", 1_700_000_000)
    assert "Tagging is paused" in (await bot.shows(BEN, "Saved as"))["text"]
