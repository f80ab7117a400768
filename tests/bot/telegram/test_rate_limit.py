"""Telegram's limits: what nobody asked for keeps to them, and an answer waits out a 429."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramRetryAfter
from aiogram.methods import EditMessageText, GetMe, Response, SendMessage, TelegramMethod

from bot.telegram.rate_limit import MessageRateLimit, is_answer
from sandbox.telegram import FloodLimits
from sandbox.telegram.errors import ApiError
from sandbox.telegram.flood import FloodControl
from tests.virtual_time import virtual_loop, virtually

NOTICES = 150


class Telegram:
    """The bot's way to Telegram: the rate limit, and then the stand-in's own flood control."""

    def __init__(self, limits: FloodLimits | None = None, delay: float = 0.01) -> None:
        self._limit = MessageRateLimit()
        self._flood = FloodControl(limits, virtual_loop().time)
        self._delay = delay
        self._bot = Bot("1:a")
        self.refusals = 0
        self.counted: list[tuple[float, int]] = []

    async def send(self, chat_id: int, *, answer: bool = False) -> None:
        """Send a message, as an answer to a person or unasked."""
        is_answer.set(answer)
        await self.call(SendMessage(chat_id=chat_id, text="a"))

    async def call(self, method: TelegramMethod[Any]) -> None:
        await self._limit(self._request, self._bot, method)

    async def _request(self, _bot: Bot, method: TelegramMethod[Any]) -> Response[Any]:
        await asyncio.sleep(self._delay)
        if self.refusals:
            self.refusals -= 1
            raise TelegramRetryAfter(method, "Too Many Requests", 7)
        chat_id = getattr(method, "chat_id", 0)
        try:
            self._flood.check(chat_id, group=False)
        except ApiError as error:
            if not is_answer.get():
                raise
            raise TelegramRetryAfter(method, error.description, error.retry_after or 1) from error
        self.counted.append((virtual_loop().now, chat_id))
        return Response(ok=True)


def test_many_messages_at_once_go_out_at_the_limit_and_none_is_refused() -> None:
    async def work() -> None:
        telegram, began = Telegram(FloodLimits()), virtual_loop().now
        await asyncio.gather(*(telegram.send(chat) for chat in range(NOTICES)))
        assert NOTICES / (virtual_loop().now - began) > 24

    virtually(work())


def test_answers_do_not_queue_behind_notices_and_no_notice_is_refused() -> None:
    async def work() -> None:
        telegram = Telegram(FloodLimits())
        sending = asyncio.gather(*(telegram.send(chat) for chat in range(NOTICES)))
        for person in range(1000, 1012):
            await asyncio.sleep(0.4)
            asked = virtual_loop().now
            await asyncio.create_task(telegram.send(person, answer=True))
            assert virtual_loop().now - asked < 0.2
        await sending

    virtually(work())


def test_answers_wait_only_when_telegram_says_so_and_all_arrive() -> None:
    async def work() -> None:
        telegram, began = Telegram(FloodLimits()), virtual_loop().now
        await asyncio.gather(*(telegram.send(chat, answer=True) for chat in range(NOTICES)))
        at_once = [chat for at, chat in telegram.counted if at - began < 0.1]
        assert len(at_once) == FloodLimits().overall[0]
        assert sorted(chat for _, chat in telegram.counted) == list(range(NOTICES))

    virtually(work())


def test_a_chat_is_written_to_once_a_second_unasked_and_others_do_not_wait() -> None:
    async def work() -> None:
        telegram, began = Telegram(), virtual_loop().now
        await asyncio.gather(*(telegram.send(chat) for chat in (1, 1, 1, 2)))
        assert [(round(at - began), chat) for at, chat in telegram.counted] == [(0, 1), (0, 2), (1, 1), (2, 1)]

    virtually(work())


def test_answers_to_a_person_do_not_wait_for_each_other() -> None:
    async def work() -> None:
        telegram, began = Telegram(), virtual_loop().now
        for _ in range(5):
            await telegram.send(1, answer=True)
        assert virtual_loop().now - began < 1

    virtually(work())


def test_an_answer_is_sent_again_when_telegram_said() -> None:
    async def work() -> None:
        telegram, began = Telegram(), virtual_loop().now
        telegram.refusals = 5
        await telegram.send(1, answer=True)
        assert [round(at - began) for at, _ in telegram.counted] == [35]

    virtually(work())


def test_the_sender_of_a_notice_hears_of_a_refusal() -> None:
    async def work() -> None:
        telegram = Telegram()
        telegram.refusals = 1
        with pytest.raises(TelegramRetryAfter):
            await telegram.send(1)

    virtually(work())


def test_edits_are_messages_and_other_calls_are_not() -> None:
    async def work() -> None:
        telegram, began = Telegram(), virtual_loop().now
        for _ in range(100):
            await telegram.call(GetMe())
        assert round(virtual_loop().now - began) == 1
        for _ in range(3):
            await telegram.call(EditMessageText(chat_id=1, message_id=1, text="a"))
        assert round(virtual_loop().now - began) == 3

    virtually(work())
