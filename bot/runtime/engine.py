"""What the bot and the process that only tags have in common. Knows no aiogram."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import structlog

from bot.runtime.background_tasks import Loops
from bot.runtime.bell import Bell
from bot.runtime.database_startup import open_database
from bot.runtime.logs import configure_logging
from bot.settings import Settings
from services.availability.daily_quota import QuotaWatch
from services.availability.rate_limit import RateLimit
from services.clock import utc_now
from services.llm.client import Provider
from services.tagging.dispatcher import Dispatcher
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy
from services.tagging.tagging_request import FinishedRequest
from services.tagging.worker import Worker
from storage.db.coordination import WORK_CHANNEL, Coordination, Duties, Listeners, Look
from storage.db.engine import Database

log = structlog.get_logger(__name__)

#: The last resort at the end: the worker's 15 s for requests in flight, and the transaction that follows.
STOP_SECONDS = 20.0

OnFinished = Callable[[Sequence[FinishedRequest]], None]


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts that every process has."""

    settings: Settings
    database: Database
    provider: Provider
    policy: Policy
    worker: Worker
    #: Rung when there is something to tell people.
    news: Bell

    def start(
        self,
        loops: Loops,
        duties: Duties | None = None,
        listeners: Listeners | None = None,
        look: Look | None = None,
    ) -> None:
        """Set the worker going, and what wakes it; with `duties` the process may become the leader.

        `listeners` are called when other processes have news, in addition to the worker; `look` is the leader's.
        """
        if self.settings.tagging_enabled:
            models = self.settings.models
            log.info("tagging_enabled", model=models[0], fallbacks=list(models[1:]))
            quota = QuotaWatch(self.database, self.provider, models, utc_now)
            loops.add(quota.run(), quota.stop)
            loops.add(self.worker.run(), self.worker.stop)
        else:
            log.warning("tagging_disabled", todo="put OPENROUTER_API_KEY into .env and start again")
        heard = {WORK_CHANNEL: self.worker.wake, **(listeners or {})}
        coordination = Coordination(self.database, heard, duties=duties, look=look)
        loops.add(self._coordinate(coordination), coordination.stop)

    async def _coordinate(self, coordination: Coordination) -> None:
        with self.news.heard_by(coordination.tell_leader):
            await coordination.run()


@asynccontextmanager
async def open_engine(settings: Settings, on_finished: OnFinished | None = None) -> AsyncIterator[Engine]:
    """Build the engine. `on_finished` is called with each group of requests once what came of it is stored.

    Raises:
        StartError: the database cannot be used.
    """
    policy = _policy(settings)
    async with open_database(settings) as database, _provider(settings) as provider:
        news = Bell()
        worker = _worker(settings, database, provider, policy, news.ring, on_finished)
        yield Engine(settings, database, provider, policy, worker, news)


def set_up_process(settings: Settings) -> asyncio.Event:
    """Logging, and the event that SIGTERM and SIGINT set."""
    configure_logging(settings.log_level, settings.log_format, settings.secrets())
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    return stopping


async def run_until(stopping: asyncio.Event, loops: Loops) -> None:
    """Wait for the signal, and stop the loops."""
    await stopping.wait()
    log.info("stopping")
    await loops.stop(STOP_SECONDS)


def _provider(settings: Settings) -> Provider:
    key = settings.openrouter_api_key.get_secret_value()
    return Provider(settings.openrouter_base_url, key, settings.tagging_request_timeout, utc_now)


def _policy(settings: Settings) -> Policy:
    return Policy(
        max_retries=settings.tagging_max_retries,
        retry_delay=settings.tagging_retry_delay,
        max_attempts=settings.tagging_max_attempts,
        backoff_seconds=settings.tagging_backoff_seconds,
    )


def _worker(
    settings: Settings,
    database: Database,
    provider: Provider,
    policy: Policy,
    on_news: Callable[[], None],
    on_finished: OnFinished | None,
) -> Worker:
    rate_limit = RateLimit(settings.tagging_requests_per_minute)
    recorder = Recorder(settings.models, policy, rate_limit, settings.admin_ids, utc_now, Random())
    dispatcher = Dispatcher(
        recorder,
        settings.models,
        policy,
        rate_limit,
        concurrency=settings.tagging_concurrency,
        batch_size=settings.tagging_batch_size,
        lease_seconds=settings.lease_seconds,
        probe_seconds=settings.tagging_request_timeout + 5,
        sends_models=lambda: provider.extras,
    )
    return Worker(
        database,
        provider,
        recorder,
        dispatcher,
        lease_seconds=settings.lease_seconds,
        tick_seconds=settings.retry_interval_seconds,
        clock=utc_now,
        on_news=on_news,
        on_finished=on_finished,
    )
