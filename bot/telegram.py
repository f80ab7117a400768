"""The bot, its dispatcher, and polling that no single update can stop."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import structlog
from aiogram import BaseMiddleware, Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import AiogramError, TelegramRetryAfter
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import LinkPreviewOptions, TelegramObject, Update
from pydantic import SecretStr, ValidationError

from bot.handlers import make_routers
from bot.i18n import LANGUAGES, I18n
from bot.middlewares import AnswerPresses, Handler, Throttle, UntilStored, WhoCalls, on_error
from bot.progress import Progress
from bot.views import help as help_views
from services.intake import Intake
from services.outbox import Outbox
from services.overview import Overview
from services.people import People
from services.tagging import TaggingService

log = structlog.get_logger(__name__)

POLL_SECONDS = 30
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: Handlers running at the same time; updates beyond them wait at Telegram.
CONCURRENCY = 100
#: An answer to a person waits out flood waits up to this, and is tried so often.
PATIENCE_SECONDS, PATIENCE_TRIES = 60, 3


def make_bot(token: SecretStr | str, api_url: str | None = None) -> Bot:
    """The client of Telegram's Bot API, or of another server at `api_url`."""
    plain = token.get_secret_value() if isinstance(token, SecretStr) else token
    api = TelegramAPIServer.from_base(api_url) if api_url else PRODUCTION
    defaults = DefaultBotProperties(parse_mode="HTML", link_preview=LinkPreviewOptions(is_disabled=True))
    return Bot(plain, session=AiohttpSession(api=api), default=defaults)


def make_dispatcher(
    bot: Bot,
    *,
    people: People,
    overview: Overview,
    intake: Intake,
    outbox: Outbox,
    tagging: TaggingService,
    progress: Progress,
    i18n: I18n,
) -> Dispatcher:
    """Routers, what is around them, and what handlers are given by name."""
    dispatcher = Dispatcher(
        disable_fsm=True,
        people=people,
        overview=overview,
        intake=intake,
        outbox=outbox,
        tagging=tagging,
        progress=progress,
        i18n=i18n,
    )
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
        await _insist("set_commands", lambda c=commands, lang=code: bot.set_my_commands(c, language_code=lang))


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates, each update as it came."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    timeout: int = 0
    allowed_updates: list[str] | None = None


class Polling:
    """Long polling. An update that cannot be read is skipped, with a line in the log."""

    def __init__(self, bot: Bot, dispatcher: Dispatcher, concurrency: int = CONCURRENCY) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._places = asyncio.Semaphore(concurrency)
        self._handling: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._offset: int | None = None

    async def run(self) -> None:
        """Until `stop`; then what was taken is confirmed to Telegram."""
        await self._unless_stopping(
            _insist("delete_webhook", lambda: self._bot.delete_webhook(drop_pending_updates=False))
        )
        allowed = self._dispatcher.resolve_used_update_types()
        pause = 0.0
        while not self._stopping.is_set():
            try:
                await self._unless_stopping(self._poll(allowed))
                pause = 0.0
            except AiogramError as error:
                pause = _next_pause(pause, error)
                log.warning("polling_failed", error=_name(error), seconds=pause)
                await self._unless_stopping(asyncio.sleep(pause))
            except Exception:
                log.exception("polling_broke")
                await self._unless_stopping(asyncio.sleep(LONGEST_PAUSE))
        await self._confirm()

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """Take no more updates; the handlers in progress may end."""
        self._stopping.set()
        if self._handling:
            _, late = await asyncio.wait(self._handling, timeout=grace_seconds)
            for task in late:
                task.cancel()

    async def _poll(self, allowed: list[str]) -> None:
        updates = await self._bot(
            GetRawUpdates(offset=self._offset, timeout=POLL_SECONDS, allowed_updates=allowed),
            request_timeout=POLL_SECONDS + 15,
        )
        for raw in updates:
            await self._take(raw)

    async def _take(self, raw: dict[str, Any]) -> None:
        update_id = raw.get("update_id")
        update = read_update(raw, self._bot)
        if update is not None:
            await self._places.acquire()
            task = asyncio.create_task(self._handle(update))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
        if isinstance(update_id, int):
            self._offset = max(self._offset or 0, update_id + 1)

    async def _handle(self, update: Update) -> None:
        try:
            await self._dispatcher.feed_update(self._bot, update)
        except Exception:
            log.exception("update_failed", update_id=update.update_id)
        finally:
            self._places.release()

    async def _unless_stopping(self, work: Any) -> None:
        """Do the work, but give it up when `stop` is called."""
        task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()
            stopping.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)

    async def _confirm(self) -> None:
        if self._offset is None:
            return
        try:
            await self._bot(GetRawUpdates(offset=self._offset, timeout=0), request_timeout=5)
        except AiogramError as error:
            log.warning("updates_not_confirmed", error=_name(error))


def read_update(raw: dict[str, Any], bot: Bot) -> Update | None:
    """An update as aiogram knows it; None for one that it cannot read, or of a kind it does not know."""
    try:
        update = Update.model_validate(raw, context={"bot": bot})
        _ = update.event_type
    except (ValidationError, LookupError, RecursionError) as error:
        log.warning("update_skipped", update_id=raw.get("update_id"), error=type(error).__name__)
        return None
    return update


async def _insist(what: str, call: Any) -> None:
    pause = 0.0
    while True:
        try:
            await call()
        except AiogramError as error:
            pause = _next_pause(pause, error)
            log.warning("telegram_unavailable", what=what, error=_name(error), seconds=pause)
            await asyncio.sleep(pause)
        else:
            return


def _next_pause(pause: float, error: Exception) -> float:
    if isinstance(error, TelegramRetryAfter):
        return float(error.retry_after)
    return min(LONGEST_PAUSE, max(FIRST_PAUSE, pause * 2))


def _name(error: Exception) -> str:
    """The error's class and its cause's: never its text, which may hold the address with the token."""
    cause = error.__cause__
    return type(error).__name__ if cause is None else f"{type(error).__name__} ({type(cause).__name__})"
