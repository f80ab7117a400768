"""Polls the public channels that people follow: one request at a time, its result stored at once."""

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
from services.following.progress import PollProgress, PollRequest
from services.sources.base import Delivery, Source, SourceError, SourceUnavailableError
from storage.db.engine import Database, is_unavailable

log = structlog.get_logger(__name__)

#: How often to look for channels that another process added.
LOOK_SECONDS = 10.0
LONGEST_PAUSE = 3600.0


class PreviewServer(Protocol):
    def channel(self, name: str) -> Source: ...

    def forget(self, name: str) -> None:
        """Deliver the channel's newest page next time even if it has not changed."""
        ...


@dataclass(frozen=True, slots=True)
class Pause:
    """How long no request is made, after how many failures in a row, the last one for the channel `name`."""

    until: datetime | None = None
    failures: int = 0
    name: str = ""


class Poller(BackgroundTask):
    """Polls channels, in the leader only. The next channel is found in the database."""

    def __init__(
        self,
        database: Database,
        previews: PreviewServer,
        admin_ids: Collection[int],
        clock: Clock,
        random: Random,
        *,
        on_posts: Callable[[], None],
        on_news: Callable[[], None],
    ) -> None:
        super().__init__()
        self._previews = previews
        self._progress = PollProgress(database, admin_ids, random, on_posts=on_posts, on_news=on_news)
        self._clock = clock
        self._random = random
        self._pause = Pause()

    async def work(self) -> float:
        """Make one request, if one is due. Returns the seconds until the next one may be made."""
        now = self._clock()
        if self._pause.until is not None and self._pause.until > now:
            return min(LOOK_SECONDS, (self._pause.until - now).total_seconds())
        request = await self._progress.next_request(now)
        if request is None:
            return LOOK_SECONDS
        await self._poll(request)
        return 0.0

    async def _poll(self, request: PollRequest) -> None:
        if request.even_if_unchanged:
            self._previews.forget(request.name)
        try:
            delivery = await self._fetch(request)
        except SourceUnavailableError as error:
            self._consider_pause(error, request.name)
            await self._progress.store_failure(request, error, self._clock())
        except SourceError as error:
            self._pause = Pause()
            await self._progress.store_failure(request, error, self._clock())
        else:
            self._pause = Pause()
            await self._store(request, delivery)

    async def _fetch(self, request: PollRequest) -> Delivery | None:
        async with aclosing(self._previews.channel(request.name).deliveries(request.position)) as pages:
            return await anext(pages, None)

    async def _store(self, request: PollRequest, delivery: Delivery | None) -> None:
        try:
            await self._progress.store(request, delivery, self._clock())
        except Exception as error:
            # The page was not stored: the server must deliver it again.
            self._previews.forget(request.name)
            if not is_unavailable(error):
                await self._progress.postpone(request, self._clock())
            raise

    def _consider_pause(self, error: SourceUnavailableError, name: str) -> None:
        """Pause if the server asks for that, or fails for two channels in a row."""
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
