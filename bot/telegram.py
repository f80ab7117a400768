"""The bot, its dispatcher, and polling that no single update can stop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import structlog
from aiogram import BaseMiddleware, Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import AiogramError, TelegramConflictError, TelegramRetryAfter
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import LinkPreviewOptions, TelegramObject, Update
from pydantic import SecretStr, ValidationError

from bot.handlers import make_routers
from bot.i18n import LANGUAGES, I18n
from bot.insisting import LONGEST_PAUSE, insist, name_of, next_pause
from bot.middlewares import AnswerPresses, Handler, MeasureUpdates, Throttle, UntilStored, WhoCalls, on_error
from bot.progress import Progress
from bot.views import help as help_views
from services.intake import Intake
from services.outbox import Outbox
from services.overview import Overview
from services.people import People
from services.tagging import TaggingService

log = structlog.get_logger(__name__)

POLL_SECONDS = 30
#: Updates from the lowest that is not handled; those beyond them wait at Telegram, which gives no more.
MOST_AT_ONCE = 100
#: Between looks for new updates while others are being handled: from here, doubling while there are none, to there.
SHORTEST_REST, LONGEST_REST = 0.1, 1.0
#: When Telegram shows no more updates, a person's may hold up others so long.
HOLD_SECONDS = 5.0
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
    on_update: Callable[[str, str, float], None] | None = None,
) -> Dispatcher:
    """Routers, what is around them, and what handlers are given by name.

    `on_update` is called with each update's type, what came of it, and its seconds.
    """
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


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates, each update as it came."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    limit: int
    timeout: int
    allowed_updates: list[str] | None = None


class Polling:
    """Long polling, each update at least once. One that cannot be read is skipped, with a line in the log.

    Telegram forgets what is below the offset of getUpdates. The offset is the lowest update that is not handled
    yet, so what a killed process left undone comes again to the next one.
    """

    def __init__(self, bot: Bot, dispatcher: Dispatcher, on_conflict: Callable[[], None] | None = None) -> None:
        """`on_conflict` is called when Telegram says that another process polls with the same token."""
        self._bot = bot
        self._dispatcher = dispatcher
        self._on_conflict = on_conflict
        self._stopping = asyncio.Event()
        self._handling: dict[int, asyncio.Task[None]] = {}
        # Not handled yet → until when the update may hold up those behind it.
        self._holding: dict[int, float] = {}
        # Handled, but still delivered, being above the lowest that is not.
        self._handled: set[int] = set()
        self._next: int | None = None
        self._pause = SHORTEST_REST

    async def run(self) -> None:
        """Until `stop`; then what was handled is confirmed to Telegram."""
        await self._unless_stopping(insist("delete_webhook", self._bot.delete_webhook))
        allowed = self._dispatcher.resolve_used_update_types()
        pause = 0.0
        while not self._stopping.is_set():
            try:
                await self._unless_stopping(self._round(allowed))
                pause = 0.0
            except AiogramError as error:
                if isinstance(error, TelegramConflictError) and self._on_conflict is not None:
                    self._on_conflict()
                pause = next_pause(pause, error)
                log.warning("polling_failed", error=name_of(error), seconds=pause)
                await self._unless_stopping(asyncio.sleep(pause))
            except Exception:
                log.exception("polling_broke")
                await self._unless_stopping(asyncio.sleep(LONGEST_PAUSE))
        if self._handling:
            # Not for ever: `stop` cancels what takes too long.
            await asyncio.wait(self._handling.values())
        await self._confirm()

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """Take no more updates; handlers in progress may end, and what is late comes again at the next start."""
        self._stopping.set()
        if self._handling:
            _, late = await asyncio.wait(self._handling.values(), timeout=grace_seconds)
            for task in late:
                task.cancel()

    async def _round(self, allowed: list[str]) -> None:
        """Take what is new, and wait until it is handled; but not long, since there may be more behind it."""
        offset = self._offset()
        self._handled = {known for known in self._handled if known >= (offset or 0)}
        updates = await self._bot(
            GetRawUpdates(offset=offset, limit=MOST_AT_ONCE, timeout=POLL_SECONDS, allowed_updates=allowed),
            request_timeout=POLL_SECONDS + 15,
        )
        news = [raw for raw in updates if self._take(raw)]
        if len(updates) == MOST_AT_ONCE:
            self._let_go()
        # While an update is not confirmed getUpdates returns at once: asking again and again would be a busy loop.
        self._pause = SHORTEST_REST if news else min(LONGEST_REST, self._pause * 2)
        if self._handling:
            await asyncio.wait(self._handling.values(), timeout=self._pause)
        elif updates and not news:
            await asyncio.sleep(self._pause)

    def _offset(self) -> int | None:
        return min(self._holding, default=self._next)

    def _take(self, raw: dict[str, Any]) -> bool:
        """Begin to handle an update, unless that was done before."""
        update_id = raw.get("update_id")
        if not isinstance(update_id, int):
            log.warning("update_skipped", update_id=None, error="no update_id")
            return False
        if update_id in self._handling or update_id in self._handled:
            return False
        update = read_update(raw, self._bot)
        if update is None:
            self._handled.add(update_id)
        else:
            self._holding[update_id] = _may_hold_until(update)
            task = self._handling[update_id] = asyncio.create_task(self._handle(update))
            task.add_done_callback(lambda ended: self._ended(update_id, ended))
        self._next = update_id + 1
        return True

    async def _handle(self, update: Update) -> None:
        try:
            await self._dispatcher.feed_update(self._bot, update)
        except Exception:
            log.exception("update_failed", update_id=update.update_id)

    def _ended(self, update_id: int, task: asyncio.Task[None]) -> None:
        del self._handling[update_id]
        if task.cancelled() and self._stopping.is_set():
            return
        self._holding.pop(update_id, None)
        self._handled.add(update_id)

    def _let_go(self) -> None:
        """Telegram shows no more updates at once: a few slow ones must not keep everybody's out of sight."""
        now = time.monotonic()
        slow = [update_id for update_id, until in self._holding.items() if until < now]
        if slow:
            log.warning("updates_confirmed_early", count=len(slow))
        for update_id in slow:
            del self._holding[update_id]

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
        offset = self._offset()
        if offset is None:
            return
        try:
            await self._bot(GetRawUpdates(offset=offset, limit=1, timeout=0), request_timeout=5)
        except AiogramError as error:
            log.warning("updates_not_confirmed", error=name_of(error))


def _may_hold_until(update: Update) -> float:
    """People's updates that take long have their work done and wait only to answer, mostly for a flood limit.

    A channel's wait for the database, and nobody would send them again.
    """
    is_persons = update.event_type in {"message", "callback_query"}
    return time.monotonic() + HOLD_SECONDS if is_persons else math.inf


def read_update(raw: dict[str, Any], bot: Bot) -> Update | None:
    """An update as aiogram knows it; None for one that it cannot read, or of a kind it does not know."""
    if _holds_absurd_number(raw):
        log.warning("update_skipped", update_id=raw.get("update_id"), error="absurd number")
        return None
    try:
        update = Update.model_validate(raw, context={"bot": bot})
        _ = update.event_type
    except (ValidationError, LookupError, RecursionError) as error:
        log.warning("update_skipped", update_id=raw.get("update_id"), error=type(error).__name__)
        return None
    return update


def _holds_absurd_number(raw: Any) -> bool:
    """PURE: databases know 64 bits; Telegram's own numbers have 52 at most."""
    waiting = [raw]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            return True
    return False
