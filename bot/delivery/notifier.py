import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from weakref import WeakValueDictionary

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
)

from bot.delivery.notice_messages import NoticeMessage, NoticeMessages
from services.background_task import BackgroundTask
from services.notifications.outbox import Notice, NoticeKind, Outbox

log = structlog.get_logger(__name__)

EVERY_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
#: What Telegram takes in some two seconds.
TAKEN_AT_ONCE = 60
#: How Telegram says that a person cannot be written to, other than by 403.
UNREACHABLE = ("chat not found", "user not found", "peer_id_invalid", "bot can't initiate")

#: A group that takes no message: the bot was removed or muted, or the topic is gone.
REFUSED = (TelegramForbiddenError, TelegramBadRequest, TelegramNotFound)

Result = Literal["sent", "postponed", "refused", "unreachable"]


@dataclass(frozen=True, slots=True)
class Delivered:
    notice: Notice
    message_id: int | None
    final: bool


class Notifier(BackgroundTask):
    """Sends the outbox: when woken, and every EVERY_SECONDS while anything is open."""

    def __init__(
        self,
        bot: Bot,
        outbox: Outbox,
        messages: NoticeMessages,
        clock: Callable[[], datetime],
        on_sent: Callable[[NoticeKind, Result], None] | None = None,
    ) -> None:
        super().__init__()
        self._bot = bot
        self._outbox = outbox
        self._messages = messages
        self._clock = clock
        self._on_sent = on_sent
        self._alarm: asyncio.TimerHandle | None = None
        # One task for each chat that is written to. A lock lives while a task holds or awaits it.
        self._sending: set[asyncio.Task[None]] = set()
        self._chat_locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._in_hand: set[int] = set()
        # Outbox rows that Telegram has taken, and that are not marked as sent yet.
        self._taken: dict[int, Delivered] = {}
        self._pause = 0.0

    def wake_soon(self) -> None:
        if self._alarm is None and not self.stopping.is_set():
            self._alarm = asyncio.get_running_loop().call_later(EVERY_SECONDS, self.wake)

    async def work(self) -> float | None:
        self._cancel_alarm()
        if not await self._outbox.any_open():
            return None
        while not self.stopping.is_set() and (notices := await self._outbox.due(TAKEN_AT_ONCE)):
            self._begin(notices)
            while len(self._sending) > TAKEN_AT_ONCE // 2:
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        return EVERY_SECONDS

    async def finish(self) -> None:
        """Wait for what is being sent: it would be sent again at the next start."""
        self._cancel_alarm()
        if self._sending:
            await asyncio.wait(self._sending)

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None

    def _begin(self, notices: list[Notice]) -> None:
        chats: dict[int, list[Notice]] = defaultdict(list)
        for notice in notices:
            # The outbox gives out again what takes longer than a minute to send.
            if self._in_hand.isdisjoint(notice.ids):
                self._in_hand.update(notice.ids)
                chats[notice.chat_id].append(notice)
        for chat_id, theirs in chats.items():
            task = asyncio.create_task(self._send_all(chat_id, theirs))
            self._sending.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.failed(error)

    async def _send_all(self, chat_id: int, notices: list[Notice]) -> None:
        """Send a chat's notices in order, after those that were begun before."""
        lock = self._chat_locks.setdefault(chat_id, asyncio.Lock())
        try:
            async with lock:
                for notice in notices:
                    if self.stopping.is_set():
                        # Released: the next process need not wait until its claim expires.
                        await self._outbox.postpone(notice, self._clock())
                    else:
                        await self._deliver(notice)
        finally:
            self._in_hand.difference_update(row for notice in notices for row in notice.ids)

    async def _deliver(self, notice: Notice) -> None:
        taken = next((self._taken[row] for row in notice.ids if row in self._taken), None)
        if taken is not None:
            await self._record(taken)
            # Other failures may have joined the notice since.
            if rest := tuple(row for row in notice.ids if row not in taken.notice.ids):
                await self._outbox.postpone(replace(notice, ids=rest), self._clock())
            return
        message = await self._messages.write(notice)
        if message is None or not message.text:
            await self._outbox.sent(notice, notice.message_id, final=message is None or message.final)
            return
        try:
            message_id = await self._send(notice, message)
        except TelegramAPIError as error:
            await self._not_sent(notice, error)
            return
        self._pause = 0.0
        self._count(notice, "sent")
        await self._record(Delivered(notice, message_id, message.final))

    async def _record(self, taken: Delivered) -> None:
        """Mark the notice as sent. If the database is away, only this is repeated, not the message."""
        self._taken |= dict.fromkeys(taken.notice.ids, taken)
        await self._outbox.sent(taken.notice, taken.message_id, final=taken.final)
        for row in taken.notice.ids:
            del self._taken[row]

    def _count(self, notice: Notice, result: Result) -> None:
        if self._on_sent is not None:
            self._on_sent(notice.kind, result)

    async def _send(self, notice: Notice, message: NoticeMessage) -> int:
        if notice.message_id is None:
            return await self._send_new(notice, message)
        try:
            await self._bot.edit_message_text(
                message.text, chat_id=notice.chat_id, message_id=notice.message_id, reply_markup=message.markup
            )
        except TelegramBadRequest as error:
            if _is_unreachable(error):
                raise
            if "not modified" not in error.message:
                # The message was deleted, or is too old to be edited.
                return await self._send_new(notice, message)
        return notice.message_id

    async def _send_new(self, notice: Notice, message: NoticeMessage) -> int:
        sent = await self._bot.send_message(
            notice.chat_id,
            message.text,
            message_thread_id=notice.thread_id,
            reply_markup=message.markup,
            disable_notification=message.silent or None,
        )
        return sent.message_id

    async def _not_sent(self, notice: Notice, error: TelegramAPIError) -> None:
        now = self._clock()
        if isinstance(error, TelegramRetryAfter):
            log.info("flood_wait", seconds=error.retry_after)
            self._count(notice, "postponed")
            await self._outbox.postpone(notice, now + timedelta(seconds=error.retry_after))
        elif isinstance(error, TelegramMigrateToChat):
            await self._outbox.chat_moved(notice, error.migrate_to_chat_id)
        elif notice.kind == "watch" and notice.chat_id != notice.telegram_id and isinstance(error, REFUSED):
            log.info("watch_paused", watch=notice.payload.get("watch"), error=error.message)
            self._count(notice, "refused")
            await self._outbox.place_lost(notice, error.message)
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
            log.warning("notice_postponed", kind=notice.kind, error=type(error).__name__, seconds=self._pause)
            self._count(notice, "postponed")
            await self._outbox.postpone(notice, now + timedelta(seconds=self._pause))


def _is_unreachable(error: TelegramAPIError) -> bool:
    return isinstance(error, TelegramBadRequest) and any(word in error.message.lower() for word in UNREACHABLE)
