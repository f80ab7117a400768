"""Telegram takes 30 messages in any second, and about one a second to a chat.

https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

import asyncio
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import structlog
from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import TelegramRetryAfter
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiolimiter import AsyncLimiter

log = structlog.get_logger(__name__)

#: A bucket lets BURST + A_SECOND messages pass in any second: together Telegram's 30.
BURST, A_SECOND = 2, 28
#: Notices. The rest is for answers, which need not queue behind notices.
UNASKED_A_SECOND = 25
MESSAGES = ("send", "edit", "copy", "forward")
#: More chats than get a message within a second.
CHATS = 1000

#: True in an update's handler, whose messages answer a person who waits.
is_answer: ContextVar[bool] = ContextVar("is_answer", default=False)


class MessageRateLimit(BaseRequestMiddleware):
    """Delays messages to Telegram's limits, and sends an answer again after 429."""

    def __init__(self) -> None:
        self._all = AsyncLimiter(BURST, BURST / A_SECOND)
        self._unasked = AsyncLimiter(BURST, BURST / UNASKED_A_SECOND)
        self._chat = lru_cache(maxsize=CHATS)(_one_a_second)

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        while True:
            await self._wait(method)
            try:
                return await make_request(bot, method)
            except TelegramRetryAfter as error:
                if not is_answer.get():
                    # A notice's sender must read the database anew.
                    raise
                log.info("flood_wait", method=method.__api_method__, seconds=error.retry_after)
                await asyncio.sleep(error.retry_after)

    async def _wait(self, method: TelegramMethod[Any]) -> None:
        chat_id = getattr(method, "chat_id", None)
        if chat_id is None or not method.__api_method__.startswith(MESSAGES):
            return
        if not is_answer.get():
            await self._chat(chat_id).acquire()
            await self._unasked.acquire()
        await self._all.acquire()


def _one_a_second(_chat_id: int | str) -> AsyncLimiter:
    return AsyncLimiter(1, 1)
