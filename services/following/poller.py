"""Reads the public channels that people follow: one request after the other, each one's result stored at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

import structlog

from services.background_task import BackgroundTask
from services.clock import Clock
from services.following import schedule
from services.following.progress import Readings, Task
from services.sources.base import Delivery, Source, SourceError, SourceUnavailableError
from storage.db.engine import Database, is_unavailable

log = structlog.get_logger(__name__)

#: How often is looked for work that nobody has told of: what another process has added.
LOOK_SECONDS = 10.0
#: So long a server is left alone at most, whatever it says.
LONGEST_PAUSE = 3600.0


class Previews(Protocol):
    """A server of channels' pages, which may know what it has given out."""

    def channel(self, name: str) -> Source:
        """The channel of that public name."""
        ...

    def forget(self, name: str) -> None:
        """Give its newest page again, even if it has not changed."""
        ...


@dataclass(frozen=True, slots=True)
class Pause:
    """The server of the previews is left alone: until when, after how many failures in a row, the last of `name`."""

    until: datetime | None = None
    failures: int = 0
    name: str = ""


class Reader(BackgroundTask):
    """The loop of the leader's that reads channels. What is to be read, and how far it is, stands in the database."""

    def __init__(
        self,
        database: Database,
        previews: Previews,
        admin_ids: Collection[int],
        clock: Clock,
        random: Random,
        *,
        on_posts: Callable[[], None],
        on_news: Callable[[], None],
    ) -> None:
        """
        Args:
            on_posts: there are new posts to be tagged; on_news: there is something to tell people.
        """
        super().__init__()
        self._previews = previews
        self._readings = Readings(database, admin_ids, random, on_posts=on_posts, on_news=on_news)
        self._clock = clock
        self._random = random
        self._pause = Pause()

    async def work(self) -> float:
        """Make one request, if one is due. Returns the seconds until there may be another."""
        now = self._clock()
        if self._pause.until is not None and self._pause.until > now:
            return min(LOOK_SECONDS, (self._pause.until - now).total_seconds())
        task = await self._readings.next(now)
        if task is None:
            return LOOK_SECONDS
        await self._read(task)
        return 0.0

    async def _read(self, task: Task) -> None:
        if task.fresh:
            self._previews.forget(task.name)
        try:
            delivery = await self._ask(task)
        except SourceUnavailableError as error:
            self._rest(error, task.name)
            await self._readings.failed(task, error, self._clock())
        except SourceError as error:
            self._pause = Pause()
            await self._readings.failed(task, error, self._clock())
        else:
            self._pause = Pause()
            await self._store(task, delivery)

    async def _store(self, task: Task, delivery: Delivery | None) -> None:
        try:
            await self._readings.read(task, delivery, self._clock())
        except Exception as error:
            # What could not be stored must come again.
            self._previews.forget(task.name)
            if not is_unavailable(error):
                # Not at once: the others have their turn.
                await self._readings.postpone(task, self._clock())
            raise

    async def _ask(self, task: Task) -> Delivery | None:
        """One page; None: there is nothing (new) there."""
        async with aclosing(self._previews.channel(task.name).deliveries(task.position)) as pages:
            return await anext(pages, None)

    def _rest(self, error: SourceUnavailableError, name: str) -> None:
        """Leave the server alone when it asks for that, or fails for one name after another; else only the name."""
        if error.of_this_name:
            self._pause = Pause()
            return
        failures, before = self._pause.failures + 1, self._pause.name
        if error.retry_after is None and (not before or before == name):
            self._pause = Pause(None, failures, name)
            return
        seconds = error.retry_after if error.retry_after is not None else schedule.backoff(failures, self._random)
        until = self._clock() + timedelta(seconds=min(seconds, LONGEST_PAUSE))
        self._pause = Pause(until, failures, name)
        log.warning("preview_unavailable", error=str(error), failures=failures, seconds=round(seconds))
