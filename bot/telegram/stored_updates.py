"""The inbox's reader: what a webhook brought, to whatever process, is handled by the leader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from aiogram import Bot, Dispatcher

from bot.telegram.updates import MOST_AT_ONCE, InProgress
from services.ingest.received_updates import ReceivedUpdates, WaitingUpdate
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

#: Without being woken the reader looks so often: what is stored by other processes is notified.
LOOK_SECONDS = 30.0
#: While the database is away.
DATABASE_PAUSE = 5.0
#: A few slow handlers must not keep everybody's updates waiting; more than so many are not begun.
MOST_IN_PROGRESS = 500


class InboxReader:
    """Handles what waits in the inbox, each update at least once; an update is marked after its handler ended.

    What a killed process left undone still waits there for the next one.
    """

    def __init__(
        self, bot: Bot, dispatcher: Dispatcher, inbox: ReceivedUpdates, *, on_rival: Callable[[], None] = lambda: None
    ) -> None:
        """`on_rival` is called when another process is seen to handle the same updates."""
        self._inbox = inbox
        self._on_rival = on_rival
        self._woken = asyncio.Event()
        self._in_progress = InProgress(bot, dispatcher, on_end=self._woken.set)
        self._is_failing = False
        #: Set when all that waited at the beginning is being handled, or the database was away.
        self.looked = asyncio.Event()

    def wake(self) -> None:
        """There is an update."""
        self._woken.set()

    async def run(self, *, until_empty: bool = False) -> None:
        """Until `stop`, or `until_empty`: until every update is handled. The database may be away meanwhile."""
        while not self._in_progress.stopping.is_set():
            self._woken.clear()
            count = await self._look()
            if count < MOST_AT_ONCE:
                self.looked.set()
            if until_empty and not (count or self._is_failing or self._in_progress.known):
                return
            await self._in_progress.unless_stopping(self._rest())
        # Not for ever: `stop` cancels what takes too long.
        await self._in_progress.wait()
        await self._mark_last()

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """Begin no more updates; handlers in progress may end, and what is late waits for the next start."""
        await self._in_progress.stop(grace_seconds)

    async def _rest(self) -> None:
        if self._is_failing:
            await asyncio.sleep(DATABASE_PAUSE)
            return
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _look(self) -> int:
        """Mark what was handled, and begin what waits; returns how many updates were begun."""
        try:
            await self._mark()
            count = await self._begin_waiting()
        except Exception as error:
            self._failed(error)
            return 0
        if self._is_failing:
            log.info("inbox_back")
        self._is_failing = False
        return count

    def _failed(self, error: Exception) -> None:
        if not is_unavailable(error):
            log.exception("inbox_failed")
        elif not self._is_failing:
            log.warning("inbox_waits_for_database", error=type(error).__name__)
        self._is_failing = True

    async def _mark(self) -> None:
        handled = frozenset(self._in_progress.handled)
        if not handled:
            return
        marked = await self._inbox.mark_handled(handled)
        self._in_progress.handled -= handled
        if marked < len(handled):
            self._on_rival()

    async def _begin_waiting(self) -> int:
        known = self._in_progress.known
        room = min(MOST_AT_ONCE, MOST_IN_PROGRESS - len(known))
        if room <= 0:
            return 0
        found = await self._inbox.waiting(limit=room, besides=known)
        if self._in_progress.stopping.is_set():
            return 0
        for update in found:
            self._begin(update)
        if len(found) == room:
            # There may be more.
            self._woken.set()
        return len(found)

    def _begin(self, update: WaitingUpdate) -> None:
        if self._in_progress.begin(update.update_id, update.raw) is None:
            # Nothing will end, and it is to be marked.
            self._woken.set()

    async def _mark_last(self) -> None:
        try:
            await self._mark()
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("updates_not_marked", count=len(self._in_progress.handled), error=type(error).__name__)
