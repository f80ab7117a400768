"""Calls of the Bot API, as aiogram makes them at a fraction of the processor's time."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from aiogram import Bot
from aiogram.client.default import Default
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.exceptions import TelegramNetworkError
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import InlineKeyboardMarkup, InputFile
from aiohttp import ClientError, ClientTimeout
from yarl import URL

from bot.telegram.rate_limit import Pace

#: How the names of the methods begin that Telegram counts as messages.
MESSAGES = ("send", "edit", "copy", "forward")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class QuickSession(AiohttpSession):
    """For one bot; writes forms without aiohttp's machinery for files, unless there is one to send."""

    def __init__(self, pace: Pace, **kwargs: Any) -> None:
        """`pace` is told of every message; the rest is aiogram's."""
        super().__init__(**kwargs, json_dumps=_dumps)
        self._pace = pace
        # Pydantic forgets `Response[…]` when nobody holds it, and takes a millisecond to make it again.
        self._responses: dict[Any, type[Response[Any]]] = {}
        # The bot's defaults as they are sent: they stay as they are.
        self._defaults: dict[str, Any] = {}

    async def make_request(
        self,
        bot: Bot,
        method: TelegramMethod[TelegramType],
        timeout: int | None = None,  # noqa: ASYNC109 - aiogram's name for it
    ) -> TelegramType:
        """Call, and read the answer.

        Raises:
            TelegramAPIError: Telegram refuses, or cannot be reached.
        """
        with self._counted(method):
            if any(isinstance(value, InputFile) for value in method.__dict__.values()):
                return await super().make_request(bot, method, timeout)
            return await self._make_request(bot, method, timeout)

    def _counted(self, method: TelegramMethod[Any]) -> AbstractContextManager[None]:
        chat_id = getattr(method, "chat_id", None)
        if chat_id is None or not method.__api_method__.startswith(MESSAGES):
            return nullcontext()
        return self._pace.message(chat_id)

    async def _make_request(self, bot: Bot, method: TelegramMethod[TelegramType], seconds: int | None) -> TelegramType:
        session = await self.create_session()
        url = self.api.api_url(token=bot.token, method=method.__api_method__)
        limit = ClientTimeout(total=self.timeout if seconds is None else seconds)
        try:
            async with session.post(url, data=self.form(bot, method), headers=FORM, timeout=limit) as answer:
                content = await answer.text()
        except TimeoutError as error:
            raise TelegramNetworkError(method=method, message="Request timeout error") from error
        except ClientError as error:
            raise TelegramNetworkError(method=method, message=f"{type(error).__name__}: {error}") from error
        response = self.check_response(bot=bot, method=method, status_code=answer.status, content=content)
        self._responses.setdefault(method.__returning__, type(response))
        return cast("TelegramType", response.result)

    def form(self, bot: Bot, method: TelegramMethod[Any]) -> bytes:
        """A method's values as an urlencoded form."""
        given = {name: value for name, value in method.__dict__.items() if value is not None}
        prepared = {name: self._prepared(bot, value) for name, value in given.items()}
        # As `urllib.parse.urlencode`, which takes seven times as long.
        return URL.build(query={name: value for name, value in prepared.items() if value}).raw_query_string.encode()

    def _prepared(self, bot: Bot, value: Any) -> Any:
        if type(value) is int:
            # The most frequent, and what aiogram comes to after all its questions; not for True, which is no number.
            return str(value)
        if isinstance(value, InlineKeyboardMarkup):
            # Holds nothing that is left to the bot's defaults, which aiogram looks for one by one.
            return value.model_dump_json(exclude_none=True)
        if isinstance(value, Default):
            if value.name not in self._defaults:
                self._defaults[value.name] = self.prepare_value(value, bot=bot, files={})
            return self._defaults[value.name]
        return self.prepare_value(value, bot=bot, files={})


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
