"""Sends what stands in the outbox, and keeps Telegram's limits while doing so."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramRetryAfter,
)
from aiogram.types import InlineKeyboardMarkup

from bot.i18n import Html, I18n, Texts
from bot.keyboards import access as access_keyboards
from bot.keyboards import alerts as alert_keyboards
from bot.keyboards import posts as keyboards
from bot.keyboards.channel_news import channel_news as channel_news_keyboard
from bot.keyboards.following import with_follow
from bot.telegram.rate_limit import Pace
from bot.views import alerts as alert_views
from bot.views import posts as views
from bot.views.channel_news import channel_news
from services.library.bot_queries import BotQueries, PostCard
from services.notifications.outbox import Notice, NoticeKind, Outbox
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 2.0
DATABASE_PAUSE = 5.0
#: Pauses after faults of the connection or of Telegram: from the first, doubling, to the last.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
#: Notices that are taken out of the outbox together: some two seconds' worth.
TAKEN_AT_ONCE = 60
#: How Telegram says that a person cannot be written to, other than by 403.
UNREACHABLE = ("chat not found", "user not found", "peer_id_invalid", "bot can't initiate")

#: What became of a message.
Result = Literal["sent", "postponed", "refused", "unreachable"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message to send. `final`: nothing more is to come of this notice."""

    text: Html
    markup: InlineKeyboardMarkup | None = None
    final: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    """A notice that Telegram has taken, as that message."""

    notice: Notice
    message_id: int | None
    final: bool


class Notifier:
    """Takes what is due and sends it: when woken, and every 2 s while there is anything to send soon."""

    def __init__(
        self,
        bot: Bot,
        outbox: Outbox,
        queries: BotQueries,
        i18n: I18n,
        admin_ids: Collection[int],
        clock: Callable[[], datetime],
        pace: Pace,
        on_sent: Callable[[NoticeKind, Result], None] | None = None,
    ) -> None:
        """Take what it works with; `pace` knows of all of the bot's messages.

        `on_sent` is called with what became of each notice.
        """
        self._bot = bot
        self._outbox = outbox
        self._queries = queries
        self._i18n = i18n
        self._admin_ids = admin_ids
        self._clock = clock
        self._on_sent = on_sent
        self._event = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._stopping = False
        self._pace = pace
        # Chat → what is being sent to it.
        self._latest: dict[int, asyncio.Task[None]] = {}
        # Rows of the outbox that are being sent, or wait for their turn.
        self._in_hand: set[int] = set()
        # Rows of the outbox that Telegram has taken, which the database was away to hear.
        self._said: dict[int, Said] = {}
        self._pause = 0.0
        # Of many that are rendered at once, each would have to wait for all the others at every step.
        self._rendering = asyncio.Lock()

    def wake(self) -> None:
        """There is something to tell."""
        self._event.set()

    def wake_soon(self) -> None:
        """There may be: look within 2 s, however often this is called."""
        if self._alarm is None and not self._stopping:
            self._alarm = asyncio.get_running_loop().call_later(EVERY_SECONDS, self.wake)

    def stop(self) -> None:
        """Finish what is being sent, so that it is not sent again at the next start, and end."""
        self._stopping = True
        self._event.set()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            self._look_is_now()
            try:
                pause = EVERY_SECONDS if await self._send_what_is_due() else None
            except Exception as error:
                pause = DATABASE_PAUSE
                if is_unavailable(error):
                    log.warning("notifier_waits_for_database", error=type(error).__name__)
                else:
                    log.exception("notifier_failed")
            await self._idle(pause)
        self._look_is_now()

    def _look_is_now(self) -> None:
        self._event.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None

    async def _send_what_is_due(self) -> bool:
        """Send what is due; whether there was anything, or will be soon."""
        if not await self._outbox.any_open():
            return False
        while not self._stopping and await self.send_due():
            pass
        return True

    async def _idle(self, seconds: float | None) -> None:
        if self._stopping:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)

    async def send_due(self) -> int:
        """Send what is due, and what becomes due meanwhile: several chats at the same time; returns how many."""
        count, going = 0, set[asyncio.Task[None]]()
        try:
            while not self._stopping and (notices := await self._outbox.due(TAKEN_AT_ONCE)):
                count += len(notices)
                going |= self._begin(notices)
                # The last of them wait for their turns while the next are made ready.
                while len(going) > TAKEN_AT_ONCE // 2:
                    ended, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
                    _raise_first(ended)
        finally:
            # Every chat's failure is its own: the others are finished before it is raised.
            if going:
                await asyncio.wait(going)
        _raise_first(going)
        return count

    def _begin(self, notices: list[Notice]) -> set[asyncio.Task[None]]:
        chats: dict[int, list[Notice]] = defaultdict(list)
        for notice in notices:
            # One is taken again when it has waited for longer than it is held: Telegram did not answer to others.
            if self._in_hand.isdisjoint(notice.ids):
                self._in_hand.update(notice.ids)
                chats[notice.chat_id].append(notice)
        return {self._in_turn(chat, theirs) for chat, theirs in chats.items()}

    def _in_turn(self, chat: int, notices: list[Notice]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._send_all(notices, after=self._latest.get(chat)))
        self._latest[chat] = task
        task.add_done_callback(lambda ended: self._forget(chat, ended))
        return task

    def _forget(self, chat: int, task: asyncio.Task[None]) -> None:
        if self._latest.get(chat) is task:
            del self._latest[chat]

    async def _send_all(self, notices: list[Notice], after: asyncio.Task[None] | None) -> None:
        """A chat's messages in their order, when those before have ended."""
        waiting = deque(notices)
        try:
            if after is not None:
                await asyncio.wait({after})
            while waiting:
                if self._stopping:
                    # Given back, so that the next process need not wait for it.
                    await self._outbox.postpone(waiting[0], self._clock())
                else:
                    await self._deliver(waiting[0])
                self._in_hand.difference_update(waiting.popleft().ids)
        finally:
            self._in_hand.difference_update(row for notice in waiting for row in notice.ids)

    async def _deliver(self, notice: Notice) -> None:
        said = next((self._said[row] for row in notice.ids if row in self._said), None)
        if said is not None:
            await self._record(said)
            # News may have joined it since.
            if rest := tuple(row for row in notice.ids if row not in said.notice.ids):
                await self._outbox.postpone(replace(notice, ids=rest), self._clock())
            return
        t = self._i18n.texts(notice.language)
        async with self._rendering:
            rendered = await self._render(t, notice)
        if rendered is None:
            await self._outbox.sent(notice, notice.message_id)
            return
        await self._pace.turn(None if notice.kind == "result" else notice.chat_id)
        try:
            message_id = await self._send(notice, rendered)
        except TelegramAPIError as error:
            await self._not_sent(notice, error)
            return
        self._pause = 0.0
        self._count(notice, "sent")
        await self._record(Said(notice, message_id, rendered.final))

    async def _record(self, said: Said) -> None:
        """Tell the outbox; where the database is away that is all that is left to do when the notice comes again."""
        self._said |= dict.fromkeys(said.notice.ids, said)
        await self._outbox.sent(said.notice, said.message_id, final=said.final)
        for row in said.notice.ids:
            del self._said[row]

    def _count(self, notice: Notice, result: Result) -> None:
        if self._on_sent is not None:
            self._on_sent(notice.kind, result)

    async def _send(self, notice: Notice, rendered: Rendered) -> int:
        if notice.message_id is not None:
            try:
                await self._bot.edit_message_text(
                    rendered.text,
                    chat_id=notice.chat_id,
                    message_id=notice.message_id,
                    reply_markup=rendered.markup,
                )
            except TelegramBadRequest as error:
                if "not modified" not in error.message and not _is_unreachable(error):
                    # Deleted, or too old to be edited: what it would have said comes as a new one.
                    return await self._send_new(notice, rendered)
                if _is_unreachable(error):
                    raise
            return notice.message_id
        return await self._send_new(notice, rendered)

    async def _send_new(self, notice: Notice, rendered: Rendered) -> int:
        sent = await self._bot.send_message(notice.chat_id, rendered.text, reply_markup=rendered.markup)
        return sent.message_id

    async def _not_sent(self, notice: Notice, error: TelegramAPIError) -> None:
        now, name = self._clock(), type(error).__name__
        if isinstance(error, TelegramRetryAfter):
            log.info("flood_wait", seconds=error.retry_after)
            self._count(notice, "postponed")
            await self._outbox.postpone(notice, now + timedelta(seconds=error.retry_after))
        elif isinstance(error, TelegramForbiddenError) or _is_unreachable(error):
            log.info("person_unreachable", person=notice.telegram_id)
            self._count(notice, "unreachable")
            await self._outbox.unreachable(notice)
        elif isinstance(error, TelegramBadRequest):
            log.warning("notice_refused", kind=notice.kind, ids=notice.ids, error=error.message)
            self._count(notice, "refused")
            await self._outbox.undeliverable(notice, error.message)
        else:
            self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, self._pause * 2))
            log.warning("notice_postponed", kind=notice.kind, error=name, seconds=self._pause)
            self._count(notice, "postponed")
            await self._outbox.postpone(notice, now + timedelta(seconds=self._pause))

    async def _render(self, t: Texts, notice: Notice) -> Rendered | None:
        match notice.kind:
            case "failed":
                return await self._render_failed(t, notice)
            case "result":
                return await self._render_result(t, notice)
            case "channel":
                return Rendered(channel_news(t, notice.payload), channel_news_keyboard(t, notice.payload))
            case _:
                return Rendered(alert_views.alert(t, notice.payload), _admin_buttons(t, notice))

    async def _render_failed(self, t: Texts, notice: Notice) -> Rendered | None:
        listed = notice.post_ids[: views.LISTED]
        posts = await self._queries.posts(listed)
        total = len(notice.post_ids) - len(listed) + len(posts)
        if not posts:
            return None
        if total == 1:
            return Rendered(views.failed_one(t, posts[0]), self._buttons(t, posts[0], notice))
        return Rendered(views.failed_several(t, posts, total), keyboards.failed_several(t))

    async def _render_result(self, t: Texts, notice: Notice) -> Rendered:
        card = await self._queries.post(notice.post_ids[0], user_id=None) if notice.post_ids else None
        if card is None:
            return Rendered(views.gone(t, notice.post_ids[0] if notice.post_ids else 0))
        final = card.status not in {"pending", "retrying"}
        buttons = self._buttons(t, card, notice) if final else None
        return Rendered(views.result(t, card), with_follow(t, buttons, notice.payload.get("follow")), final)

    def _buttons(self, t: Texts, card: PostCard, notice: Notice) -> InlineKeyboardMarkup | None:
        return keyboards.post(t, card, details=True, admin=notice.telegram_id in self._admin_ids)


def _raise_first(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.result()


def _admin_buttons(t: Texts, notice: Notice) -> InlineKeyboardMarkup | None:
    person = notice.payload.get("person")
    if notice.payload.get("text") == "access" and isinstance(person, int):
        return access_keyboards.access_request(t, person)
    return alert_keyboards.try_now(t) if notice.payload.get("text") == "account" else None


def _is_unreachable(error: TelegramAPIError) -> bool:
    return isinstance(error, TelegramBadRequest) and any(word in error.message.lower() for word in UNREACHABLE)
