import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import structlog
from aiogram import BaseMiddleware
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.enums import ChatType
from aiogram.exceptions import TelegramAPIError, TelegramBadRequest
from aiogram.types import CallbackQuery, Message, TelegramObject, Update, User

from bot.i18n import Html, I18n, Texts
from bot.telegram.rate_limit import is_answer
from bot.views import access as access_views
from bot.views import errors
from services.accounts.people import CurrentUser, People, Role
from storage.db.engine import is_unavailable, unavailable_reason

log = structlog.get_logger(__name__)

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]

#: Of one person's updates, those above MOST_UPDATES within WINDOW_SECONDS are ignored.
MOST_UPDATES = 30
WINDOW_SECONDS = 3.0
#: Telegram's limit on the answer to a press.
TOAST_LENGTH = 200
DATABASE_PAUSE = 5.0
START_AGAIN_AFTER = 3600.0


@dataclass
class Toast:
    """The text that Telegram shows over the chat. A handler sets it, AnswerPresses sends it."""

    text: str = ""


def is_private(event: TelegramObject) -> bool:
    """Whether a message or press is of a private chat. A press may come without its message."""
    chat = getattr(event.message if isinstance(event, CallbackQuery) else event, "chat", None)
    return chat is None or chat.type == ChatType.PRIVATE


class MeasureUpdates(BaseMiddleware):
    """Reports each update's type, result and duration."""

    def __init__(
        self, on_update: Callable[[str, str, float], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_update = on_update
        self._monotonic = monotonic

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """'handled', 'ignored' (no handler), 'failed', or 'cancelled' by a stop (it comes again)."""
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


class MarkAnswers(BaseMiddleware):
    """Marks what handlers send as answers: see bot.telegram.rate_limit."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Every update is handled in a task, and so in a context, of its own."""
        is_answer.set(True)
        return await handler(event, data)


class Throttle(BaseMiddleware):
    """Ignores people who send more than MOST_UPDATES, or faster than they can be answered. They are told once."""

    def __init__(self, i18n: I18n, clock: Callable[[], float] = time.monotonic) -> None:
        self._i18n = i18n
        self._clock = clock
        # Person → when their window began, and the updates in it.
        self._windows: dict[int, tuple[float, int]] = {}
        # Person → their updates in progress. Most of these are answers that wait for Telegram's limit.
        self._open: Counter[int] = Counter()
        self._swept = clock()

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
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


class FindUser(BaseMiddleware):
    """In private chats, gives handlers `user` and `t`, and refuses strangers. Groups pass."""

    def __init__(self, people: People, i18n: I18n, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._i18n = i18n
        self._monotonic = monotonic
        self._answered: dict[tuple[int, Role], float] = {}
        # A lock lives while a task holds or awaits it.
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        who: User | None = data.get("event_from_user")
        if not is_private(event):
            return await handler(event, data)
        if who is not None and await self._may_use(event, who, data):
            return await handler(event, data)
        return None

    async def _may_use(self, event: TelegramObject, who: User, data: dict[str, Any]) -> bool:
        # One update of a person at a time, so that a stranger who sends several is told once.
        async with self._locks.setdefault(who.id, asyncio.Lock()):
            user = await self._people.seen(
                who.id, language_code=who.language_code, name=who.full_name, username=who.username
            )
            data["user"], data["t"] = user, self._i18n.texts(user.language, user.time_zone)
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
    match role:
        case Role.ASKED:
            return access_views.asked_already(t)
        case Role.DECLINED:
            return access_views.declined(t)
        case _:
            return access_views.stranger(t)


class AnswerPresses(BaseMiddleware):
    """Answers every press, with the handler's toast if it ends `within` these seconds.

    The error handler answers after a failure.
    """

    def __init__(self, within: float) -> None:
        self._within = within

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        if not isinstance(event, CallbackQuery):
            return await handler(event, data)
        toast = data["toast"] = Toast()
        handling = asyncio.ensure_future(handler(event, data))
        try:
            await asyncio.wait({handling}, timeout=self._within)
            if not (handling.done() and not handling.cancelled() and handling.exception()):
                await answer_press(event, toast.text)
            return await handling
        except TelegramAPIError:
            # Telegram did not take the answer: the handler still has to finish.
            await handling
            raise
        finally:
            handling.cancel()


async def answer_press(press: CallbackQuery, text: str) -> bool:
    """Returns False if Telegram takes no answer any more."""
    try:
        return await press.answer(text[:TOAST_LENGTH] or None)
    except TelegramBadRequest:
        # "query is too old": pressed while the bot was away, or already answered.
        return False


class RepeatUntilStored(BaseMiddleware):
    """Holds a channel's update while the database is away. Storing an update twice is harmless."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        while True:
            try:
                return await handler(event, data)
            except Exception as error:
                if not is_unavailable(error):
                    raise
                log.warning("update_waits_for_database", error=unavailable_reason(error))
            await asyncio.sleep(DATABASE_PAUSE)
