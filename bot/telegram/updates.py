import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiogram import Bot, Dispatcher
from aiogram.types import Update

from bot.telegram.raw_update import RawUpdate, read_update

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 100


async def nobody_is_told(_field: str) -> None:
    pass


class UpdatesInProgress:
    """Handles updates side by side. One whose handler fails is handled; one that `finish` cancels comes again."""

    def __init__(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        on_end: Callable[[], None] = lambda: None,
        on_unreadable: Callable[[str], Awaitable[None]] = nobody_is_told,
    ) -> None:
        """`on_unreadable` gets the name of a field that could not be read."""
        self._bot = bot
        self._dispatcher = dispatcher
        self._on_end = on_end
        self._on_unreadable = on_unreadable
        self._telling: set[asyncio.Task[None]] = set()
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
        update, received = read_update(raw, self._bot)
        if received.fault is not None:
            telling = asyncio.create_task(self._tell(received.fault))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
        if update is None:
            self.handled.add(update_id)
            return None
        channel = _channel_of(update)
        before = None if channel is None else self._latest.get(channel)
        task = self._tasks[update_id] = asyncio.create_task(self._handle(update, received, before))
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
        await asyncio.gather(*self._telling)

    async def _tell(self, field: str) -> None:
        try:
            await self._on_unreadable(field)
        except Exception:
            log.exception("alert_failed")

    async def _handle(self, update: Update, received: RawUpdate, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            await self._dispatcher.feed_update(self._bot, update, raw_update=received)
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
