import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiogram import Bot, Dispatcher

from bot.telegram.updates import MOST_AT_ONCE, UpdatesInProgress, nobody_is_told
from services.background_task import BackgroundTask
from services.ingest.received_updates import ReceivedUpdates
from storage.db.engine import is_unavailable, unavailable_reason

log = structlog.get_logger(__name__)

LOOK_SECONDS = 30.0
#: Updates in progress at most. Slow handlers must not hold up other people's updates.
MOST_IN_PROGRESS = 500
GRACE_SECONDS = 10.0


class StoredUpdates(BackgroundTask):
    """Handles updates that a webhook stored in the database, each at least once."""

    def __init__(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        inbox: ReceivedUpdates,
        *,
        on_rival: Callable[[], None] = lambda: None,
        until_empty: bool = False,
        on_unreadable: Callable[[str], Awaitable[None]] = nobody_is_told,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """`on_rival`: another process handles the same updates. `until_empty`: `run` ends after the last one.

        `on_unreadable`: see UpdatesInProgress.
        """
        super().__init__()
        self._inbox = inbox
        self._on_rival = on_rival
        self._until_empty = until_empty
        self._grace_seconds = grace_seconds
        self._in_progress = UpdatesInProgress(bot, dispatcher, on_end=self.wake, on_unreadable=on_unreadable)
        #: Set once all updates stored before the start are in progress, or the database is away.
        self.looked = asyncio.Event()

    async def work(self) -> float:
        count = 0
        try:
            await self._mark()
            count = await self._begin_waiting()
        finally:
            if count < MOST_AT_ONCE:
                self.looked.set()
        if self._until_empty and not (count or self._in_progress.known):
            self.stop()
        return LOOK_SECONDS

    async def finish(self) -> None:
        """Updates that are not finished wait for the next start."""
        await self._in_progress.finish(self._grace_seconds)
        try:
            await self._mark()
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("updates_not_marked", count=len(self._in_progress.handled), error=unavailable_reason(error))

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
        if self.stopping.is_set():
            return 0
        begun = [self._in_progress.begin(update.update_id, update.raw) for update in found]
        if len(found) == room or None in begun:
            # There may be more, or an unreadable one has to be marked.
            self.wake()
        return len(found)
