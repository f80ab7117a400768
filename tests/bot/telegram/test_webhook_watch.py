"""Telegram is looked at while the bot is called by it: nothing else would tell what goes wrong there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiogram import Bot, Dispatcher
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.settings import Settings
from bot.telegram.dispatcher import make_bot
from bot.telegram.health import TelegramHealth
from bot.telegram.webhook import Webhook
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from tests.bot.running import until

#: Nobody listens there.
DEAD = "http://127.0.0.1:9/telegram"


@asynccontextmanager
async def watching(telegram: TelegramSandbox, health: TelegramHealth) -> AsyncIterator[Bot]:
    """A webhook that is looked at all the time; the value is a client with the same token."""
    settings = Settings(
        _env_file=None,
        telegram_api_url=telegram.url,
        webhook_url=DEAD,
        webhook_secret=SecretStr("secret"),
        api_token=SecretStr("token"),
    )
    bot, other = (make_bot(telegram.token, telegram.url) for _ in range(2))
    dispatcher = Dispatcher()
    dispatcher.message.register(lambda _: None)
    task = asyncio.create_task(Webhook(bot, dispatcher, settings, health, look_seconds=0.01).run())
    try:
        yield other
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bot.session.close()
        await other.session.close()


def said(lines: Sequence[Mapping[str, Any]], event: str) -> Callable[[], bool]:
    """Whether the log has such a line."""
    return lambda: any(line["event"] == event for line in lines)


async def test_a_webhook_that_somebody_took_away_is_set_again(telegram: TelegramSandbox) -> None:
    with capture_logs() as lines:
        async with watching(telegram, TelegramHealth(utc_now)) as other:
            await until(said(lines, "webhook_set"))
            await other.delete_webhook()
            await until(said(lines, "webhook_changed"))
            await until(lambda: [line["event"] for line in lines].count("webhook_set") == 2)
            assert (await other.get_webhook_info()).url == DEAD


async def test_updates_that_do_not_come_through_are_told_in_telegrams_words(telegram: TelegramSandbox) -> None:
    telegram.add_user(7, "Ben", "en")
    with capture_logs() as lines:
        async with watching(telegram, TelegramHealth(utc_now)):
            await until(said(lines, "webhook_set"))
            telegram.send_text(7, "/stats")
            await until(said(lines, "webhook_failing"))
    (first, *_) = [line for line in lines if line["event"] == "webhook_failing"]
    assert first["reason"]
    assert first["waiting"] == 1


async def test_a_token_that_is_revoked_later_is_seen(telegram: TelegramSandbox) -> None:
    health = TelegramHealth(utc_now)
    async with watching(telegram, health):
        await until(lambda: health.look().state == "ok")
        telegram.fail_next("getWebhookInfo", 401, "Unauthorized", times=1000)
        await until(lambda: health.look().state == "failing")


async def test_a_server_that_does_not_know_the_call_is_none_that_fails(telegram: TelegramSandbox) -> None:
    health = TelegramHealth(utc_now)
    telegram.fail_next("getWebhookInfo", 404, "Not Found", times=1000)
    async with watching(telegram, health):
        await until(lambda: len([error for error in telegram.errors if error.method == "getWebhookInfo"]) >= 3)
        assert health.look().state == "ok"
