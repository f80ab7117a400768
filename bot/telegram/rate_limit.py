"""Telegram takes 30 messages in any second, about one a second to a chat, and 20 a minute to a group.

Messages that nobody asked for keep to that. An answer is sent at once: when too many people ask in a second, Telegram
says how long to wait.

https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import structlog
from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import TelegramAPIError, TelegramEntityTooLarge, TelegramRetryAfter
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiolimiter import AsyncLimiter

from bot.telegram.call_retry import TRANSIENT, error_name, next_pause

log = structlog.get_logger(__name__)

#: A bucket lets BURST + A_SECOND messages pass in any second: of Telegram's 30, some are for answers.
BURST, A_SECOND = 2, 25
MESSAGES = ("send", "edit", "copy", "forward")
#: More chats than get a message within a second.
CHATS = 1000
#: Seconds for which an answer is sent again while Telegram is away.
AGAIN_WITHIN = 3600.0

#: True in an update's handler, whose messages answer a person who waits.
is_answer: ContextVar[bool] = ContextVar("is_answer", default=False)


class MessageRateLimit(BaseRequestMiddleware):
    """Delays unasked messages to Telegram's limits, and sends an answer again until Telegram has taken it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._unasked = AsyncLimiter(BURST, BURST / A_SECOND)
        self._chat = lru_cache(maxsize=CHATS)(_one_a_second)
        self._group = lru_cache(maxsize=CHATS)(_to_group)

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        pause, began = 0.0, self._monotonic()
        while True:
            await self._wait(method)
            try:
                return await make_request(bot, method)
            except TRANSIENT as error:
                # A notice's sender must read the database anew.
                if not is_answer.get() or not _is_worth_another(method, error):
                    raise
                pause = next_pause(pause, error)
                if self._monotonic() - began + pause > AGAIN_WITHIN:
                    raise
                log.warning("answer_waits", method=method.__api_method__, error=error_name(error), seconds=pause)
            await asyncio.sleep(pause)

    async def _wait(self, method: TelegramMethod[Any]) -> None:
        chat_id = getattr(method, "chat_id", None)
        if chat_id is None or is_answer.get() or not method.__api_method__.startswith(MESSAGES):
            return
        await self._chat(chat_id).acquire()
        if isinstance(chat_id, int) and chat_id < 0 and method.__api_method__.startswith("send"):
            await self._group(chat_id).acquire()
        await self._unasked.acquire()


def _is_worth_another(method: TelegramMethod[Any], error: TelegramAPIError) -> bool:
    is_told = method.__api_method__.startswith((*MESSAGES, "answer"))
    return isinstance(error, TelegramRetryAfter) or (is_told and not isinstance(error, TelegramEntityTooLarge))


def _one_a_second(_chat_id: int | str) -> AsyncLimiter:
    return AsyncLimiter(1, 1)


def _to_group(_chat_id: int | str) -> AsyncLimiter:
    # A bucket lets 10 + 10 messages pass in any minute.
    return AsyncLimiter(10, 60)
