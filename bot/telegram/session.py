import json
from typing import Any

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import ClientDecodeError, TelegramServerError
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import Message
from aiohttp import ClientSession

from bot.telegram.reduced_update import reduced_message
from services.proxies import Proxies


class BotApiSession(AiohttpSession):
    """Takes what is no answer of the Bot API (a proxy's page, nothing, `{}`) for a server's passing fault.

    aiogram's own session takes every proxy for one that tunnels.
    """

    def __init__(self, api: TelegramAPIServer, proxies: Proxies) -> None:
        super().__init__(api=api)
        self._proxies = proxies

    async def create_session(self) -> ClientSession:
        if self._session is None or self._session.closed:
            self._session = ClientSession(**self._proxies.session_options(self.api.base, **self._connector_init))
        return self._session

    async def make_request(
        self,
        bot: Bot,
        method: TelegramMethod[TelegramType],
        timeout: int | None = None,  # noqa: ASYNC109 - aiogram's signature
    ) -> Any:
        try:
            return await super().make_request(bot, method, timeout)
        except UnicodeDecodeError as error:
            raise _no_answer(method, "of unknown characters") from error

    def check_response(
        self, bot: Bot, method: TelegramMethod[TelegramType], status_code: int, content: str
    ) -> Response[TelegramType]:
        try:
            response = super().check_response(bot, method, status_code, content)
        except (ClientDecodeError, TypeError) as error:
            # TypeError: an error without description.
            result = _result(content)
            if isinstance(result, dict) and type(result.get("message_id")) is int:
                # The message was sent, but aiogram cannot read all of it.
                sent = Message.model_validate(reduced_message(result), context={"bot": bot})
                return Response[Any](ok=True, result=sent)
            raise _no_answer(method, f"with HTTP status {status_code}") from error
        if response.result is None:
            raise _no_answer(method, "without result")
        return response


def _no_answer(method: TelegramMethod[Any], what: str) -> TelegramServerError:
    return TelegramServerError(method=method, message=f"an answer {what} that is none of the Bot API's")


def _result(content: str) -> Any:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return answer.get("result") if isinstance(answer, dict) and answer.get("ok") is True else None
