"""Around every handler: how much, who, answers to presses, and what happens when something fails."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

import structlog
from aiogram import BaseMiddleware, Bot
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.exceptions import TelegramAPIError, TelegramBadRequest, TelegramForbiddenError
from aiogram.types import CallbackQuery, ErrorEvent, Message, TelegramObject, Update, User

from bot.handlers.replies import Toast, is_private
from bot.i18n import Html, I18n, Texts
from bot.telegram.call_retry import PASSING, insist
from bot.views import access as access_views
from bot.views import errors
from services.accounts.people import CurrentUser, People, Role
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]

#: More updates of one person than this …
MOST_UPDATES = 30
#: … within so many seconds are ignored, until so many have passed.
WINDOW_SECONDS = 3.0
#: A press whose handler takes longer is answered without its words.
ANSWER_WITHIN = 1.0
#: An answer to a press has no more characters.
TOAST_LENGTH = 200
DATABASE_PAUSE = 5.0
#: A failure is no news any more after so long.
TELL_WITHIN = 3600.0
#: A stranger's further /start is answered once in so many seconds.
START_AGAIN_AFTER = 3600.0


class MeasureUpdates(BaseMiddleware):
    """Around every update, outside of all else: its type, what came of it, and how long it took."""

    def __init__(
        self, on_update: Callable[[str, str, float], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_update = on_update
        self._monotonic = monotonic

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """'handled', 'ignored' (nobody's to handle), 'failed', or 'cancelled' (at a stop: it comes again)."""
        began, result = self._monotonic(), "failed"
        try:
            returned = await handler(event, data)
            result = "ignored" if returned is UNHANDLED else "handled"
            return returned
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            kind = event.event_type if isinstance(event, Update) else "other"
            self._on_update(kind, result, self._monotonic() - began)


class Throttle(BaseMiddleware):
    """Ignores who sends more than 30 updates in 3 s, or faster than they can be answered; told once, no query."""

    def __init__(self, i18n: I18n, clock: Callable[[], float] = time.monotonic) -> None:
        self._i18n = i18n
        self._clock = clock
        # Person → when their window began, updates in it. Windows that are over are dropped.
        self._windows: dict[int, tuple[float, int]] = {}
        # Person → their updates in progress, mostly answers that wait out a flood limit.
        self._open: Counter[int] = Counter()
        self._swept = clock()

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Count, and stop what is too much."""
        who: User | None = data.get("event_from_user")
        if who is None:
            return await handler(event, data)
        count = self._count(who.id)
        if count <= MOST_UPDATES:
            return await self._pass(who.id, handler(event, data))
        if count == MOST_UPDATES + 1:
            log.info("throttled", person=who.id)
            if isinstance(event, Message) and is_private(event):
                await event.answer(errors.too_many(self._i18n.texts(who.language_code)))
        return None

    async def _pass(self, person: int, handling: Awaitable[Any]) -> Any:
        self._open[person] += 1
        try:
            return await handling
        finally:
            self._open[person] -= 1
            if not self._open[person]:
                del self._open[person]

    def _count(self, person: int) -> int:
        now = self._clock()
        if now - self._swept > WINDOW_SECONDS:
            self._windows = {who: w for who, w in self._windows.items() if not self._is_over(who, w[0], now)}
            self._swept = now
        began, count = self._windows.get(person, (now, 0))
        if self._is_over(person, began, now):
            began, count = now, 0
        self._windows[person] = (began, count + 1)
        return count + 1

    def _is_over(self, person: int, began: float, now: float) -> bool:
        return now - began > WINDOW_SECONDS and self._open[person] < MOST_UPDATES


class WhoCalls(BaseMiddleware):
    """In private chats: gives handlers `user` and `t`, and turns strangers away."""

    def __init__(self, people: People, i18n: I18n, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._i18n = i18n
        self._monotonic = monotonic
        # Stranger, and how their request stood → when a further /start was answered so; dropped after an hour.
        self._answered: dict[tuple[int, Role], float] = {}
        # A lock lives as long as somebody holds or awaits it.
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Look who it is; groups go on without. A private chat's message of nobody's is nothing to answer."""
        who: User | None = data.get("event_from_user")
        if not is_private(event):
            return await handler(event, data)
        if who is not None and await self._may_use(event, who, data):
            return await handler(event, data)
        return None

    async def _may_use(self, event: TelegramObject, who: User, data: dict[str, Any]) -> bool:
        # One update of a person at a time: a burst of a stranger's is told one thing once.
        async with self._turns.setdefault(who.id, asyncio.Lock()):
            user = await self._people.seen(
                who.id, language_code=who.language_code, name=who.full_name, username=who.username
            )
            data["user"], data["t"] = user, self._i18n.texts(user.language)
            if not user.may_use:
                await self._refuse(event, user, who, data)
        return user.may_use

    async def _refuse(self, event: TelegramObject, user: CurrentUser, who: User, data: dict[str, Any]) -> None:
        if isinstance(event, Message):
            await self._turn_away(event, user, who)
        elif isinstance(toast := data.get("toast"), Toast):
            toast.text = data["t"].plain("This bot is private.")

    async def _turn_away(self, message: Message, user: CurrentUser, who: User) -> None:
        t = self._i18n.texts(user.language)
        is_start = (message.text or "").split(maxsplit=1)[:1] == ["/start"]
        admins = await self._people.ask_access(user, who.full_name, who.username) if is_start else []
        if admins:
            words = access_views.asked(t)
        elif not user.told or (is_start and self._may_answer_again(user)):
            words = (
                _standing(t, user.role)
                if self._people.has_admins
                else access_views.no_administrators(t, user.telegram_id)
            )
        else:
            return
        if not user.told:
            await self._people.mark_told(user.telegram_id)
        await message.answer(words)

    def _may_answer_again(self, user: CurrentUser) -> bool:
        now, key = self._monotonic(), (user.telegram_id, user.role)
        self._answered = {known: at for known, at in self._answered.items() if now - at < START_AGAIN_AFTER}
        if key in self._answered:
            return False
        self._answered[key] = now
        return True


def _standing(t: Texts, role: Role) -> Html:
    """What a stranger is told of their request."""
    match role:
        case Role.ASKED:
            return access_views.asked_already(t)
        case Role.DECLINED:
            return access_views.declined(t)
        case _:
            return access_views.stranger(t)


class AnswerPresses(BaseMiddleware):
    """Answers every press, with the handler's words if they come soon; a failure is answered by `on_error`."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Run the handler with a `toast` to write on."""
        if not isinstance(event, CallbackQuery):
            return await handler(event, data)
        toast = data["toast"] = Toast()
        handling = asyncio.ensure_future(handler(event, data))
        try:
            await asyncio.wait({handling}, timeout=ANSWER_WITHIN)
            if not (handling.done() and not handling.cancelled() and handling.exception()):
                await answer_press(event, toast.text)
            return await handling
        except TelegramAPIError:
            # The answer did not get through: that is no reason to cut the handler off.
            await handling
            raise
        finally:
            handling.cancel()


async def answer_press(press: CallbackQuery, text: str) -> bool:
    """Answer; False when Telegram takes no answer (any more)."""
    try:
        return await press.answer(text[:TOAST_LENGTH] or None)
    except TelegramBadRequest:
        # "query is too old": pressed while the bot was away, or answered already.
        return False


class UntilStored(BaseMiddleware):
    """Channels are told nothing, so what they post waits here while the database is away."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Try until it is stored; storing twice is harmless."""
        while True:
            try:
                return await handler(event, data)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                log.warning("update_waits_for_database", error=type(error).__name__)
            await asyncio.sleep(DATABASE_PAUSE)


async def on_error(event: ErrorEvent, bot: Bot, i18n: I18n) -> bool:
    """The last resort: the person is told shortly, the log has the rest."""
    error, update = event.exception, event.update
    if isinstance(error, TelegramForbiddenError):
        log.info("blocked_by_person", update_id=update.update_id)
        return True
    if is_unavailable(error):
        log.warning("database_unavailable", update_id=update.update_id, error=type(error).__name__)
    elif isinstance(error, TelegramAPIError):
        log.warning("telegram_refused", update_id=update.update_id, error=type(error).__name__)
    else:
        log.error("handler_failed", update_id=update.update_id, exc_info=error)
    await _insist_on_telling(event, bot, i18n)
    return True


async def _insist_on_telling(event: ErrorEvent, bot: Bot, i18n: I18n) -> None:
    """An update is not done with before the person knows what became of it, though Telegram be away for a while."""
    try:
        async with asyncio.timeout(TELL_WITHIN):
            await insist("tell_person", lambda: _tell(event, bot, i18n), on=PASSING)
    except (TelegramAPIError, TimeoutError) as error:
        log.warning("cannot_tell", update_id=event.update.update_id, error=type(error).__name__)


async def _tell(event: ErrorEvent, bot: Bot, i18n: I18n) -> None:
    source = event.update.message or event.update.callback_query
    if source is None or source.from_user is None or not is_private(source):
        return
    t = i18n.texts(source.from_user.language_code)
    text = errors.unavailable(t) if is_unavailable(event.exception) else errors.went_wrong(t)
    if isinstance(source, CallbackQuery) and await answer_press(source, text):
        return
    await bot.send_message(source.from_user.id, text)
