import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiogram import Bot, Dispatcher
from aiogram.types import Update
from pydantic import ValidationError

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 100
LEAST_NUMBER, MOST_NUMBER = -(2**63), 2**63 - 1


class UpdatesInProgress:
    """Handles updates side by side. One whose handler fails is handled; one that `finish` cancels comes again."""

    def __init__(self, bot: Bot, dispatcher: Dispatcher, on_end: Callable[[], None] = lambda: None) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._on_end = on_end
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._latest: dict[int, asyncio.Task[None]] = {}
        #: The caller removes updates that it has confirmed.
        self.handled: set[int] = set()
        self._is_over = False

    @property
    def known(self) -> set[int]:
        return self.handled | self._tasks.keys()

    def begin(self, update_id: int, raw: dict[str, Any]) -> Update | None:
        """Returns None for an update that cannot be read, which counts as handled."""
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
        """Wait until all handlers have ended, at most this long. Returns False if none runs."""
        if not self._tasks:
            return False
        await asyncio.wait(self._tasks.values(), timeout=seconds)
        return True

    async def finish(self, grace_seconds: float) -> None:
        await self.wait(grace_seconds)
        self._is_over = True
        for task in self._tasks.values():
            task.cancel()
        await self.wait()

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
        if not (task.cancelled() and self._is_over):
            self.handled.add(update_id)
        self._on_end()


def _channel_of(update: Update) -> int | None:
    """A channel's updates are handled in order: an edit must not overtake its post."""
    event = update.channel_post or update.edited_channel_post or update.my_chat_member
    return event.chat.id if event is not None else None


def read_update(raw: dict[str, Any], bot: Bot) -> Update | None:
    """None if aiogram cannot read the update or does not know its kind."""
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
    """Whether parsed JSON holds an integer that no database takes. Telegram's own have 52 bits at most."""
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
