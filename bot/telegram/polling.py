import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import AiogramError, TelegramConflictError
from aiogram.methods import TelegramMethod
from aiogram.types import Update

from bot.telegram.call_retry import error_name, is_token_refusal, next_pause, retry_call
from bot.telegram.health import TelegramHealth
from bot.telegram.stored_updates import GRACE_SECONDS, StoredUpdates
from bot.telegram.updates import MOST_AT_ONCE, UpdatesInProgress, nobody_is_told
from services.background_task import BackgroundTask, unless_set

log = structlog.get_logger(__name__)

POLL_SECONDS = 30
#: Pauses between polls while updates are in progress: doubled from the first to the second while nothing new comes.
SHORTEST_REST, LONGEST_REST = 0.1, 1.0
HOLD_SECONDS = 5.0


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates without validation: one strict field that aiogram does not know would lose all updates."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    limit: int
    timeout: int
    allowed_updates: list[str] | None = None


class Polling(BackgroundTask):
    """Handles each update at least once: the offset of getUpdates is the lowest update that is not handled yet."""

    def __init__(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        health: TelegramHealth,
        *,
        on_conflict: Callable[[], None] = lambda: None,
        leftovers: StoredUpdates | None = None,
        on_unreadable: Callable[[str], Awaitable[None]] = nobody_is_told,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """`on_conflict`: another process polls with the same token. `leftovers`: what a webhook brought before.

        `on_unreadable`: see UpdatesInProgress.
        """
        super().__init__()
        self._bot = bot
        self._allowed = dispatcher.resolve_used_update_types()
        self._health = health
        self._on_conflict = on_conflict
        self._leftovers = leftovers
        self._grace_seconds = grace_seconds
        self._in_progress = UpdatesInProgress(bot, dispatcher, on_unreadable=on_unreadable)
        self._holding: dict[int, float] = {}
        self._next: int | None = None
        self._rest = SHORTEST_REST
        self._error_pause = 0.0

    def stop(self) -> None:
        super().stop()
        if self._leftovers is not None:
            self._leftovers.stop()

    async def run(self) -> None:
        await unless_set(self.stopping, self._delete_webhook())
        if self._leftovers is None:
            await super().run()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._leftovers.run())
            await unless_set(self.stopping, self._leftovers.looked.wait())
            await super().run()

    async def _delete_webhook(self) -> None:
        await retry_call("delete_webhook", self._bot.delete_webhook, failed=self._health.failed)
        self._health.ok()

    async def work(self) -> float:
        try:
            await unless_set(self.stopping, self._poll())
        except AiogramError as error:
            self._error_pause = next_pause(self._error_pause, error)
            self._telegram_failed(error)
            return self._error_pause
        self._error_pause = 0.0
        return 0.0

    def _telegram_failed(self, error: AiogramError) -> None:
        self._health.failed(error)
        if isinstance(error, TelegramConflictError):
            self._on_conflict()
        if not is_token_refusal(error):
            log.warning("polling_failed", error=error_name(error), seconds=self._error_pause)

    async def _poll(self) -> None:
        offset = self._offset()
        self._in_progress.handled = {known for known in self._in_progress.handled if known >= (offset or 0)}
        updates = await self._bot(
            GetRawUpdates(offset=offset, limit=MOST_AT_ONCE, timeout=POLL_SECONDS, allowed_updates=self._allowed),
            request_timeout=POLL_SECONDS + 15,
        )
        self._health.ok()
        news = [raw for raw in updates if self._begin(raw)]
        if len(updates) == MOST_AT_ONCE:
            self._let_go()
        # While an update is unconfirmed getUpdates returns at once: without a rest this would be a busy loop.
        self._rest = SHORTEST_REST if news else min(LONGEST_REST, self._rest * 2)
        if not await self._in_progress.wait(self._rest) and updates and not news:
            await asyncio.sleep(self._rest)

    def _offset(self) -> int | None:
        for update_id in self._in_progress.handled & self._holding.keys():
            del self._holding[update_id]
        return min(self._holding, default=self._next)

    def _begin(self, raw: dict[str, Any]) -> bool:
        """Returns False if the update was begun before."""
        update_id = raw.get("update_id")
        if not isinstance(update_id, int):
            log.warning("update_skipped", update_id=None, error="no update_id")
            return False
        if update_id in self._in_progress.known:
            return False
        update = self._in_progress.begin(update_id, raw)
        if update is not None:
            self._holding[update_id] = _may_hold_until(update)
        self._next = update_id + 1
        return True

    def _let_go(self) -> None:
        """Confirm slow updates early: Telegram shows only a hundred unconfirmed ones."""
        now = time.monotonic()
        slow = [update_id for update_id, until in self._holding.items() if until < now]
        if slow:
            log.warning("updates_confirmed_early", count=len(slow))
        for update_id in slow:
            del self._holding[update_id]

    async def finish(self) -> None:
        """Confirm what the handlers handled. The rest comes again at the next start."""
        await self._in_progress.finish(self._grace_seconds)
        offset = self._offset()
        if offset is None:
            return
        try:
            await self._bot(GetRawUpdates(offset=offset, limit=1, timeout=0), request_timeout=5)
        except AiogramError as error:
            log.warning("updates_not_confirmed", error=error_name(error))


def _may_hold_until(update: Update) -> float:
    """People's slow updates wait only to answer. Channels' wait for the database, for ever if need be."""
    is_persons = update.event_type in {"message", "callback_query"}
    return time.monotonic() + HOLD_SECONDS if is_persons else math.inf
