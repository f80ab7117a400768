"""The bot's client, its dispatcher with what is around every handler, and the menu of commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import structlog
from aiogram import BaseMiddleware, Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import TelegramRetryAfter
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import LinkPreviewOptions, TelegramObject
from pydantic import SecretStr

from bot.delivery.export_jobs import Exports
from bot.delivery.import_jobs import Importer
from bot.delivery.retry_progress import Progress
from bot.handlers import make_routers
from bot.i18n import LANGUAGES, I18n
from bot.telegram.call_retry import insist
from bot.telegram.middlewares import AnswerPresses, Handler, MeasureUpdates, Throttle, UntilStored, WhoCalls, on_error
from bot.telegram.rate_limit import Pace
from bot.telegram.session import QuickSession
from bot.views import help as help_views
from services.accounts.people import People
from services.following.service import Channels
from services.hashtags.service import ChannelHashtags
from services.ingest.channel_posts import Intake
from services.ingest.imports import Imports
from services.library.bot_queries import BotQueries
from services.library.feeds import Feeds
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService

log = structlog.get_logger(__name__)

#: An answer to a person waits out flood waits up to this, and is tried so often.
PATIENCE_SECONDS, PATIENCE_TRIES = 60, 3


def make_bot(token: SecretStr | str, api_url: str | None = None, pace: Pace | None = None) -> Bot:
    """The client of Telegram's Bot API, or of another server at `api_url`; `pace` is told of its messages."""
    plain = token.get_secret_value() if isinstance(token, SecretStr) else token
    api = TelegramAPIServer.from_base(api_url) if api_url else PRODUCTION
    defaults = DefaultBotProperties(parse_mode="HTML", link_preview=LinkPreviewOptions(is_disabled=True))
    return Bot(plain, session=QuickSession(pace or Pace(), api=api), default=defaults)


def make_dispatcher(
    bot: Bot,
    *,
    people: People,
    queries: BotQueries,
    intake: Intake,
    outbox: Outbox,
    tagging: TaggingService,
    channels: Channels,
    progress: Progress,
    imports: Imports,
    importer: Importer,
    exports: Exports,
    feeds: Feeds,
    i18n: I18n,
    hashtags: ChannelHashtags,
    on_update: Callable[[str, str, float], None] | None = None,
) -> Dispatcher:
    """Routers, what is around them, and what handlers are given by name.

    `on_update` is called with each update's type, what came of it, and its seconds.
    """
    dispatcher = Dispatcher(
        disable_fsm=True,
        people=people,
        queries=queries,
        intake=intake,
        outbox=outbox,
        tagging=tagging,
        channels=channels,
        progress=progress,
        imports=imports,
        importer=importer,
        exports=exports,
        feeds=feeds,
        i18n=i18n,
        hashtags=hashtags,
    )
    if on_update is not None:
        dispatcher.update.outer_middleware(MeasureUpdates(on_update))
    patience = Patience()
    bot.session.middleware(patience.request)
    dispatcher.update.outer_middleware(patience)
    throttle, who_calls = Throttle(i18n), WhoCalls(people, i18n)
    dispatcher.callback_query.outer_middleware(AnswerPresses())
    for observer in (dispatcher.message, dispatcher.callback_query):
        observer.outer_middleware(throttle)
        observer.outer_middleware(who_calls)
    for observer in (dispatcher.channel_post, dispatcher.edited_channel_post, dispatcher.my_chat_member):
        observer.outer_middleware(UntilStored())
    dispatcher.errors.register(on_error)
    dispatcher.include_routers(*make_routers())
    return dispatcher


class Patience(BaseMiddleware):
    """What answers a person waits out Telegram's flood waits; what the bot sends unasked has the outbox for it."""

    def __init__(self) -> None:
        self._is_answering = ContextVar("is_answering", default=False)
        self.request = _WaitForFlood(self._is_answering)

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Around every update."""
        self._is_answering.set(True)
        return await handler(event, data)


class _WaitForFlood(BaseRequestMiddleware):
    def __init__(self, is_answering: ContextVar[bool]) -> None:
        self._is_answering = is_answering

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
    ) -> Response[TelegramType]:
        for tries in range(PATIENCE_TRIES):
            try:
                return await make_request(bot, method)
            except TelegramRetryAfter as error:
                last = tries == PATIENCE_TRIES - 1
                if last or not self._is_answering.get() or error.retry_after > PATIENCE_SECONDS:
                    raise
                log.info("flood_wait", seconds=error.retry_after)
                await asyncio.sleep(error.retry_after)
        raise AssertionError("unreachable")


async def publish_commands(bot: Bot, i18n: I18n) -> None:
    """The menu in every language; tried until Telegram has taken it."""
    for code in (None, *LANGUAGES):
        commands = help_views.commands(i18n.texts(code))
        await insist("set_commands", partial(bot.set_my_commands, commands, language_code=code))
