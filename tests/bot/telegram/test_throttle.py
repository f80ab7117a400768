"""Who sends too much is told once and ignored for a while; nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiogram import Bot, Dispatcher
from aiogram.types import Message

from bot.i18n import I18n
from bot.telegram import middlewares
from bot.telegram.dispatcher import make_bot
from bot.telegram.middlewares import Throttle
from bot.telegram.raw_update import read_update
from sandbox.provider import ProviderSandbox
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from storage.db.engine import Database
from tests.bot.running import ANNA, BEN, running_bot, until
from tests.bot.telegram.hostile import message


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    """Without flood limits: what is said counts."""
    sandbox = TelegramSandbox(flood=None)
    async with serve(sandbox.make_app()) as sandbox.url:
        sandbox.add_user(BEN, "Ben", started=True)
        yield sandbox


@dataclass
class Door:
    """The throttle with a handler behind it, and a clock to set."""

    bot: Bot
    now: float = 1000.0
    passed: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(disable_fsm=True)
        throttle = Throttle(I18n(ZoneInfo("UTC"), utc_now), lambda: self.now)
        self.dispatcher.message.outer_middleware(throttle)
        self.dispatcher.message.register(self._handle)

    async def _handle(self, _message: Message) -> None:
        self.passed += 1
        await self.opened.wait()

    def knock(self, times: int) -> list[asyncio.Task[Any]]:
        update, _ = read_update({"update_id": 1} | message(), self.bot)
        assert update is not None
        return [asyncio.create_task(self.dispatcher.feed_update(self.bot, update)) for _ in range(times)]


@pytest.fixture
async def door(telegram: TelegramSandbox) -> AsyncIterator[Door]:
    bot = make_bot(telegram.token, telegram.url)
    yield Door(bot)
    await bot.session.close()


async def test_above_thirty_in_three_seconds_is_told_once(door: Door, telegram: TelegramSandbox) -> None:
    """Then ignored, and forgotten when three seconds have passed."""
    door.opened.set()
    await asyncio.gather(*door.knock(1000))
    assert door.passed == 30
    assert ["a lot at once" in said["text"] for said in telegram.from_bot(BEN)] == [True]
    door.now += 2.9
    await asyncio.gather(*door.knock(1))
    assert door.passed == 30
    door.now += 0.2
    await asyncio.gather(*door.knock(30))
    assert door.passed == 60
    assert len(telegram.from_bot(BEN)) == 1


async def test_faster_than_can_be_answered_is_too_much(door: Door, telegram: TelegramSandbox) -> None:
    """Answers wait for Telegram's limits: while thirty of a person's do, time alone forgets nothing."""
    waiting = door.knock(31)
    await until(lambda: bool(telegram.from_bot(BEN)))
    door.now += 100
    await asyncio.gather(*door.knock(50))
    assert door.passed == 30
    door.opened.set()
    await asyncio.gather(*waiting)
    await asyncio.gather(*door.knock(1))
    assert door.passed == 31
    assert len(telegram.from_bot(BEN)) == 1


async def test_a_thousand_commands_at_once_trouble_nobody_else(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty are answered, the rest is ignored, and another person's command is answered meanwhile."""
    # However slow the machine: a thousand come within it.
    monkeypatch.setattr(middlewares, "WINDOW_SECONDS", 60.0)
    async with running_bot(database, telegram, provider) as bot:
        for _ in range(1000):
            telegram.send_text(BEN, "/stats")
        assert "3" in (await bot.say(ANNA, "/stats"))["text"]
        await until(lambda: not telegram.world.updates.pending)
        said = [message["text"] for message in telegram.from_bot(BEN)]
        assert len([text for text in said if "You have 3 posts" in text]) == 30
        assert len([text for text in said if "a lot at once" in text]) == 1
        assert len(said) == 31
    assert telegram.errors == []
