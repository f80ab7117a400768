"""Long polling that no single update can stop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import structlog
from aiogram import Bot, Dispatcher
from aiogram.exceptions import AiogramError, TelegramConflictError
from aiogram.methods import TelegramMethod
from aiogram.types import Update

from bot.telegram.call_retry import LONGEST_PAUSE, insist, is_token_refusal, name_of, next_pause
from bot.telegram.health import TelegramHealth
from bot.telegram.stored_updates import InboxReader
from bot.telegram.updates import MOST_AT_ONCE, InProgress

log = structlog.get_logger(__name__)

POLL_SECONDS = 30
#: Between looks for new updates while others are being handled: from here, doubling while there are none, to there.
SHORTEST_REST, LONGEST_REST = 0.1, 1.0
#: When Telegram shows no more updates, a person's may hold up others so long.
HOLD_SECONDS = 5.0


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

    def __init__(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        health: TelegramHealth,
        *,
        on_conflict: Callable[[], None] = lambda: None,
        leftovers: InboxReader | None = None,
    ) -> None:
        """
        Args:
            on_conflict: called when Telegram says that another process polls with the same token.
            leftovers: handles first what a webhook brought before, and nobody has handled.
        """
        self._bot = bot
        self._dispatcher = dispatcher
        self._health = health
        self._on_conflict = on_conflict
        self._leftovers = leftovers
        self._in_progress = InProgress(bot, dispatcher)
        # Not handled yet → until when the update may hold up those behind it.
        self._holding: dict[int, float] = {}
        self._next: int | None = None
        self._pause = SHORTEST_REST

    async def run(self) -> None:
        """Until `stop`; then what was handled is confirmed to Telegram."""
        await self._in_progress.unless_stopping(self._take_over())
        if self._leftovers is None:
            await self._poll()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._leftovers.run(until_empty=True))
            await self._in_progress.unless_stopping(self._leftovers.looked.wait())
            await self._poll()

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """Take no more updates; handlers in progress may end, and what is late comes again at the next start."""
        stops = [self._in_progress.stop(grace_seconds)]
        if self._leftovers is not None:
            stops.append(self._leftovers.stop(grace_seconds))
        await asyncio.gather(*stops)

    async def _take_over(self) -> None:
        await insist("delete_webhook", self._bot.delete_webhook, failed=self._health.failed)
        self._health.ok()

    async def _poll(self) -> None:
        allowed = self._dispatcher.resolve_used_update_types()
        pause = 0.0
        while not self._in_progress.stopping.is_set():
            try:
                await self._in_progress.unless_stopping(self._round(allowed))
                pause = 0.0
            except AiogramError as error:
                pause = next_pause(pause, error)
                self._failed(error, pause)
                await self._in_progress.unless_stopping(asyncio.sleep(pause))
            except Exception:
                log.exception("polling_broke")
                await self._in_progress.unless_stopping(asyncio.sleep(LONGEST_PAUSE))
        # Not for ever: `stop` cancels what takes too long.
        await self._in_progress.wait()
        await self._confirm()

    def _failed(self, error: AiogramError, pause: float) -> None:
        self._health.failed(error)
        if isinstance(error, TelegramConflictError):
            self._on_conflict()
        if not is_token_refusal(error):
            log.warning("polling_failed", error=name_of(error), seconds=pause)

    async def _round(self, allowed: list[str]) -> None:
        """Take what is new, and wait until it is handled; but not long, since there may be more behind it."""
        offset = self._offset()
        self._in_progress.handled = {known for known in self._in_progress.handled if known >= (offset or 0)}
        updates = await self._bot(
            GetRawUpdates(offset=offset, limit=MOST_AT_ONCE, timeout=POLL_SECONDS, allowed_updates=allowed),
            request_timeout=POLL_SECONDS + 15,
        )
        self._health.ok()
        news = [raw for raw in updates if self._take(raw)]
        is_full = len(updates) == MOST_AT_ONCE
        if is_full:
            self._let_go()
        # While an update is not confirmed getUpdates returns at once: asking again and again would be a busy loop.
        self._pause = SHORTEST_REST if news else min(LONGEST_REST, self._pause * 2)
        if is_full and news:
            await self._in_progress.wait_for_room(self._pause)
        elif not await self._in_progress.wait(self._pause) and updates and not news:
            await asyncio.sleep(self._pause)

    def _offset(self) -> int | None:
        for update_id in self._in_progress.handled & self._holding.keys():
            del self._holding[update_id]
        return min(self._holding, default=self._next)

    def _take(self, raw: dict[str, Any]) -> bool:
        """Begin to handle an update, unless that was done before."""
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
        """Telegram shows no more updates at once: a few slow ones must not keep everybody's out of sight."""
        now = time.monotonic()
        slow = [update_id for update_id, until in self._holding.items() if until < now]
        if slow:
            log.warning("updates_confirmed_early", count=len(slow))
        for update_id in slow:
            del self._holding[update_id]

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
