"""The Bot API stand-in sends updates to a webhook as Telegram does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
)

from sandbox.telegram import TelegramSandbox
from tests.sandbox.acting import ANNA, CHANNEL


async def test_a_webhook_gets_updates_in_order_until_accepted(telegram: TelegramSandbox, bot: Bot) -> None:
    from aiohttp import web

    from sandbox.servers import serve

    seen: list[tuple[str, str]] = []

    async def hook(request: web.Request) -> web.Response:
        body = await request.json()
        seen.append((body["message"]["text"], request.headers["X-Telegram-Bot-Api-Secret-Token"]))
        telegram.world.changes.touch()
        return web.Response(status=500 if len(seen) == 1 else 200)

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with serve(app) as url:
        await bot.set_webhook(f"{url}/hook", secret_token="s3cret")
        telegram.send_text(ANNA, "one")
        telegram.send_text(ANNA, "two")
        await telegram.wait_for(lambda: len(seen) == 3)
        assert seen == [("one", "s3cret"), ("one", "s3cret"), ("two", "s3cret")]
        with pytest.raises(TelegramConflictError):
            await bot.get_updates()
        await bot.delete_webhook()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the sandbox does by itself."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


async def test_a_webhook_that_cannot_be_reached_is_tried_again(telegram: TelegramSandbox, bot: Bot) -> None:
    """getWebhookInfo says why, and how many wait; a new address is tried at once; what was not asked for is dropped."""
    from aiohttp import web

    from sandbox.servers import serve

    poll = asyncio.create_task(bot.get_updates(timeout=50))
    await telegram.wait_for(lambda: telegram.calls)
    await bot.set_webhook("http://127.0.0.1:1/hook", allowed_updates=["message"], max_connections=7)
    with pytest.raises(TelegramConflictError, match="setWebhook"):
        await poll
    telegram.add_channel(CHANNEL, "News", bot_is_member=True)
    telegram.channel_post(CHANNEL, "not asked for")
    telegram.send_text(ANNA, "one")
    await until(lambda: telegram.world.updates.webhook.last_error is not None)
    info = await bot.get_webhook_info()
    assert (info.url, info.pending_update_count, info.max_connections) == ("http://127.0.0.1:1/hook", 1, 7)
    assert info.last_error_message is not None
    assert info.last_error_message.startswith("Connection failed")
    assert info.last_error_date is not None
    app = web.Application()
    seen: list[str] = []

    async def hook(request: web.Request) -> web.Response:
        seen.append((await request.json())["message"]["text"])
        return web.Response(status=204)

    async def moved(_request: web.Request) -> web.Response:
        seen.append("moved")
        raise web.HTTPTemporaryRedirect("/hook")

    app.router.add_post("/hook", hook)
    app.router.add_post("/moved", moved)
    async with serve(app) as url:
        await bot.set_webhook(f"{url}/moved")
        await until(lambda: bool(seen))
        await bot.set_webhook(f"{url}/hook")
        await until(lambda: not telegram.world.updates.pending)
    assert seen[0] == "moved"
    assert seen[-1] == "one"
    assert seen.count("one") == 1
    await bot.delete_webhook()
    assert (await bot.get_webhook_info()).url == ""
    assert await bot.get_updates() == []


@pytest.mark.parametrize(
    "wrong", [{"url": "hook"}, {"url": "http://x", "secret_token": "a b"}, {"url": "http://x", "max_connections": 101}]
)
async def test_a_wrong_webhook_is_refused(bot: Bot, wrong: dict[str, Any]) -> None:
    with pytest.raises(TelegramBadRequest):
        await bot.set_webhook(**wrong)
    assert (await bot.get_webhook_info()).url == ""


async def test_pending_updates_are_dropped_on_demand_only(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.send_text(ANNA, "one")
    await bot.delete_webhook()
    assert (await bot.get_webhook_info()).pending_update_count == 1
    await bot.delete_webhook(drop_pending_updates=True)
    assert (await bot.get_webhook_info()).pending_update_count == 0
