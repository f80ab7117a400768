"""Polling: every update is handled, once in ordinary running, and again only where a process ended before it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiogram import Dispatcher

from bot.telegram import polling as product
from bot.telegram.dispatcher import make_bot
from bot.telegram.health import TelegramHealth
from bot.telegram.polling import Polling
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from tests.bot.running import ANNA, BEN, until
from tests.bot.telegram.noting import Handlers

CHANNEL = -1001234567890


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    """Without flood limits, with two people and a channel."""
    sandbox = TelegramSandbox(flood=None)
    async with serve(sandbox.make_app()) as sandbox.url:
        for person in (ANNA, BEN):
            sandbox.add_user(person, "x", started=True)
        sandbox.add_channel(CHANNEL, "News", bot_is_member=True)
        yield sandbox


@asynccontextmanager
async def polling(telegram: TelegramSandbox, handlers: Handlers, grace: float = 10.0) -> AsyncIterator[TelegramHealth]:
    """Polling while the block runs, then stopped; gives what it tells of Telegram."""
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.message.register(handlers.handle)
    dispatcher.channel_post.register(handlers.handle)
    bot = make_bot(telegram.token, telegram.url)
    health = TelegramHealth(utc_now)
    made = Polling(bot, dispatcher, health, grace_seconds=grace)
    running = asyncio.create_task(made.run())
    try:
        yield health
    finally:
        made.stop()
        await asyncio.wait_for(running, 5)
        await bot.session.close()


def unconfirmed(telegram: TelegramSandbox) -> list[int]:
    return [update["update_id"] for update in telegram.world.updates.pending]


async def test_what_was_not_done_at_the_stop_comes_again(telegram: TelegramSandbox) -> None:
    """A handler cut off at the stop has handled nothing: the next process gets its update, and does it once."""
    first, second = Handlers(), Handlers()
    telegram.send_text(ANNA, "before")
    telegram.send_text(ANNA, "slow")
    async with polling(telegram, first, grace=0):
        telegram.send_text(BEN, "after")
        await until(lambda: "slow" in first.begun and "after" in first.done)
    assert "slow" not in first.done
    second.release()
    async with polling(telegram, second):
        await until(lambda: "slow" in second.done and not unconfirmed(telegram))
    assert Counter(second.done)["slow"] == 1
    assert "before" not in second.done


async def test_a_slow_handler_delays_nobody_else(telegram: TelegramSandbox) -> None:
    """Another person's message is handled while it waits, and waiting is no busy loop of requests."""
    handlers = Handlers()
    async with polling(telegram, handlers):
        telegram.send_text(ANNA, "slow")
        await until(lambda: "slow" in handlers.begun)
        telegram.send_text(BEN, "quick")
        await until(lambda: "quick" in handlers.done)
        assert handlers.done == ["quick"]
        asked = [call.at for call in telegram.calls if call.method == "getUpdates"]
        await until(lambda: len([call for call in telegram.calls if call.method == "getUpdates"]) >= len(asked) + 3)
        later = [call.at for call in telegram.calls if call.method == "getUpdates"]
        assert later[-1] - later[-3] > 0.25
        handlers.release()
    assert handlers.done == ["quick", "slow"]


async def test_nothing_is_handled_twice_in_ordinary_running(telegram: TelegramSandbox) -> None:
    """A thousand messages, some slow, more than come in one answer: each once, and all confirmed."""
    handlers = Handlers()
    texts = [f"{'slow' if number % 50 == 49 else 'quick'} {number}" for number in range(1000)]
    for text in texts[:500]:
        telegram.send_text(ANNA, text)
    async with polling(telegram, handlers):
        # Seen only in an answer that repeats what is handled behind the first slow one.
        await until(lambda: "quick 120" in handlers.done)
        for text in texts[500:]:
            telegram.send_text(BEN, text)
        handlers.release()
        await until(lambda: not unconfirmed(telegram))
    assert sorted(handlers.done) == sorted(texts)


async def test_a_clean_stop_confirms_what_was_handled(telegram: TelegramSandbox) -> None:
    """Handlers may end within the grace; then nothing is left for the next process."""
    handlers = Handlers()
    telegram.push_update({"message": {"message_id": "no number"}})
    telegram.send_text(ANNA, "slow")
    async with polling(telegram, handlers):
        await until(lambda: "slow" in handlers.begun)
        asyncio.get_running_loop().call_later(0.1, handlers.release)
    assert handlers.done == ["slow"]
    assert unconfirmed(telegram) == []


async def test_slow_answers_to_people_do_not_keep_others_out_of_sight(
    telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram shows a hundred updates at most: those behind a hundred slow ones are seen a little later."""
    monkeypatch.setattr(product, "HOLD_SECONDS", 0.2)
    handlers = Handlers()
    for number in range(100):
        telegram.send_text(ANNA, f"slow {number}")
    telegram.send_text(BEN, "quick")
    async with polling(telegram, handlers):
        await until(lambda: "quick" in handlers.done)
        assert handlers.done == ["quick"]
        handlers.release()
    assert len(handlers.done) == 101


async def test_what_channels_post_is_never_given_up(telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred posts that wait hold up the rest rather than be lost, and without a busy loop."""
    monkeypatch.setattr(product, "HOLD_SECONDS", 0.0)
    first, second = Handlers(), Handlers()
    for number in range(100):
        telegram.channel_post(CHANNEL, f"slow {number}")
    telegram.send_text(BEN, "quick")
    async with polling(telegram, first, grace=0):
        await until(lambda: len([call for call in telegram.calls if call.method == "getUpdates"]) >= 5)
    asked = [call.at for call in telegram.calls if call.method == "getUpdates"]
    assert asked[4] - asked[0] > 0.6
    assert first.done == []
    second.release()
    async with polling(telegram, second):
        await until(lambda: "quick" in second.done)
    assert len(second.done) == 101


@pytest.mark.parametrize("method", ["deleteWebhook", "getUpdates"])
async def test_how_telegram_does_is_known(telegram: TelegramSandbox, method: str) -> None:
    """Failing since the first failure, with the last one's name, until Telegram answers again."""
    handlers = Handlers()
    telegram.fail_next(method, 502, "Bad Gateway", times=2)
    telegram.send_text(ANNA, "quick")
    async with polling(telegram, handlers) as health:
        await until(lambda: health.look().state == "failing")
        first = health.look()
        assert first.error == "TelegramServerError"
        await until(lambda: len(telegram.errors) == 2)
        assert health.look() == first
        await until(lambda: handlers.done == ["quick"])
        assert health.look().state == "ok"
        assert health.look().error is None
