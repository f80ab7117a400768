import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import structlog

from storage.db.engine import is_unavailable, unavailable_reason

log = structlog.get_logger(__name__)


class BackgroundTask(ABC):
    """Calls `work` again and again until `stop`: when woken, and after the seconds that `work` returned."""

    error_pause = 5.0

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self._waits_for_database = False

    @abstractmethod
    async def work(self) -> float | None:
        """Do what is due. Returns the seconds until the next call; None waits for `wake`."""

    async def finish(self) -> None:  # noqa: B027 - a hook that most tasks leave alone
        """Called once, after the last call of `work`."""

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self.stopping.set()
        self._woken.set()

    async def run(self) -> None:
        while not self.stopping.is_set():
            self._woken.clear()
            pause = await self._work()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
        await self.finish()

    async def _work(self) -> float | None:
        try:
            pause = await self.work()
        except Exception as error:
            self.failed(error)
            return self.error_pause
        if self._waits_for_database:
            log.info("database_back", task=type(self).__name__)
        self._waits_for_database = False
        return pause

    def failed(self, error: Exception) -> None:
        """Log an error. That the database is away is logged once."""
        if not is_unavailable(error):
            log.error("task_failed", task=type(self).__name__, exc_info=error)
        elif not self._waits_for_database:
            log.warning("database_unavailable", task=type(self).__name__, error=unavailable_reason(error))
            self._waits_for_database = True


async def unless_set(event: asyncio.Event, work: Coroutine[Any, Any, Any]) -> bool:
    """Await `work`, but cancel it when the event is set. Returns whether it was completed."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        return False
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
