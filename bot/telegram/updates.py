"""Updates from Telegram, however they come in: read, handled side by side, and known to be handled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog
from aiogram import Bot, Dispatcher
from aiogram.types import Update
from pydantic import ValidationError

log = structlog.get_logger(__name__)

#: Updates that are taken at once, from the lowest that is not handled.
MOST_AT_ONCE = 100
LEAST_NUMBER, MOST_NUMBER = -(2**63), 2**63 - 1
#: While more than so many are being handled there is no hurry to ask for more.
ROOM_FROM = MOST_AT_ONCE // 2


class InProgress:
    """Updates that are being handled, and those that were while their source does not know it yet.

    A handler that fails has handled its update. One that is cut off by `stop` has not: the update comes again.
    """

    def __init__(self, bot: Bot, dispatcher: Dispatcher, on_end: Callable[[], None] = lambda: None) -> None:
        """`on_end` is called whenever a handler has ended."""
        self._bot = bot
        self._dispatcher = dispatcher
        self._on_end = on_end
        self._tasks: dict[int, asyncio.Task[None]] = {}
        # Channel → its latest update in progress.
        self._latest: dict[int, asyncio.Task[None]] = {}
        #: What the source is to be told of; it then takes the ids out.
        self.handled: set[int] = set()
        self._has_room = asyncio.Event()
        self.stopping = asyncio.Event()

    @property
    def known(self) -> set[int]:
        """The updates that are not to be begun again."""
        return self.handled | self._tasks.keys()

    def begin(self, update_id: int, raw: dict[str, Any]) -> Update | None:
        """Begin to handle an update. None: it cannot be read, and counts as handled."""
        update = read_update(raw, self._bot)
        if update is None:
            self.handled.add(update_id)
            return None
        channel = _channel_of(update)
        before = None if channel is None else self._latest.get(channel)
        task = self._tasks[update_id] = asyncio.create_task(self._handle(update, before))
        if channel is not None:
            self._latest[channel] = task
        task.add_done_callback(lambda ended: self._ended(update_id, channel, ended))
        return update

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until every handler has ended, so long at most; False when there is none."""
        if not self._tasks:
            return False
        await asyncio.wait(self._tasks.values(), timeout=seconds)
        return True

    async def wait_for_room(self, seconds: float) -> None:
        """Wait until half of a full taking is handled, so long at most: what comes next is then there in time."""
        self._has_room.clear()
        if len(self._tasks) > ROOM_FROM:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_room.wait(), seconds)

    async def stop(self, grace_seconds: float) -> None:
        """Handlers in progress may end for so long; then they are cut off."""
        self.stopping.set()
        await self.wait(grace_seconds)
        for task in self._tasks.values():
            task.cancel()

    async def unless_stopping(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do the work, but give it up when `stop` is called."""
        task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()
            stopping.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)

    async def _handle(self, update: Update, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            await self._dispatcher.feed_update(self._bot, update)
        except Exception:
            log.exception("update_failed", update_id=update.update_id)

    def _ended(self, update_id: int, channel: int | None, task: asyncio.Task[None]) -> None:
        del self._tasks[update_id]
        if channel is not None and self._latest.get(channel) is task:
            del self._latest[channel]
        if not (task.cancelled() and self.stopping.is_set()):
            self.handled.add(update_id)
        if len(self._tasks) <= ROOM_FROM:
            self._has_room.set()
        self._on_end()


def _channel_of(update: Update) -> int | None:
    """Whose updates are handled one after the other: posts of a channel must not overtake the bot's being added there,
    nor an edit its post. People's commands are handled side by side."""
    event = update.channel_post or update.edited_channel_post or update.my_chat_member
    return event.chat.id if event is not None else None


def read_update(raw: dict[str, Any], bot: Bot) -> Update | None:
    """An update as aiogram knows it; None for one that it cannot read, or of a kind it does not know."""
    update_id = raw.get("update_id")
    if _holds_absurd_number(raw):
        log.warning("update_skipped", update_id=update_id, error="absurd number")
        return None
    try:
        update = Update.model_validate(raw, context={"bot": bot})
        _ = update.event_type
    except (ValidationError, LookupError, RecursionError) as error:
        log.warning("update_skipped", update_id=update_id, error=type(error).__name__)
        return None
    return update


def _holds_absurd_number(raw: Any) -> bool:
    """PURE: in what JSON gave; databases know 64 bits, Telegram's own numbers have 52 at most."""
    waiting = [raw]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind is dict:
            waiting.extend(value.values())
        elif kind is list:
            waiting.extend(value)
        elif kind is int and not LEAST_NUMBER <= value <= MOST_NUMBER:
            return True
    return False
