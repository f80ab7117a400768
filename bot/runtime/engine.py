"""The parts that the bot and the worker process share. Imports no aiogram."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import structlog

from bot.runtime.background_tasks import BackgroundTasks
from bot.runtime.database_startup import open_database
from bot.runtime.logs import configure_logging
from bot.runtime.signals import Signal
from bot.settings import Settings, unknown_names
from services.administration.stored_settings import StoredSettings
from services.availability.daily_quota import QuotaWatch
from services.availability.rate_limit import RateLimit
from services.background_task import unless_set
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

#: The worker takes up to 15 s for the requests in flight, and then a transaction.
STOP_SECONDS = 20.0
#: Without the database's file nothing can be stored any more.
LOST_SECONDS = 1.0
FILE_LOST = "the file was deleted or replaced while Metka used it: stop Metka before you change it, then start again"

OnFinished = Callable[[Sequence[FinishedRequest]], None]


@dataclass(frozen=True, slots=True)
class Engine:
    settings: Settings
    stored: StoredSettings
    database: Database
    provider: Provider
    policy: Policy
    worker: Worker
    news: Signal

    def start(
        self,
        tasks: BackgroundTasks,
        duties: Duties | None = None,
        listeners: Listeners | None = None,
        look: Look | None = None,
    ) -> None:
        """Start the worker, and what wakes it. A process without `duties` never leads."""
        tasks.start(self.stored.run(), self.stored.stop)
        if self.settings.tagging_enabled:
            models = self.settings.models
            log.info("tagging_enabled", model=models[0], fallbacks=list(models[1:]))
            quota = QuotaWatch(self.database, self.provider, models, utc_now)
            tasks.start(quota.run(), quota.stop)
            tasks.start(self.worker.run(), self.worker.stop)
        else:
            log.warning("tagging_disabled", todo="put OPENROUTER_API_KEY into .env and start again")
        heard = {WORK_CHANNEL: self.worker.wake, **(listeners or {})}
        coordination = Coordination(self.database, heard, duties=duties, look=look)
        tasks.start(self._coordinate(coordination), coordination.stop)

    async def _coordinate(self, coordination: Coordination) -> None:
        with self.news.received_by(coordination.tell_leader):
            await coordination.run()


@asynccontextmanager
async def open_engine(settings: Settings, on_finished: OnFinished | None = None) -> AsyncIterator[Engine]:
    """`on_finished` is called with each group of requests once its outcomes are stored. Raises StartError."""
    policy = Policy(
        max_retries=settings.tagging_max_retries,
        retry_delay=settings.tagging_retry_delay,
        max_attempts=settings.tagging_max_attempts,
        backoff_seconds=settings.tagging_backoff_seconds,
    )
    key = settings.openrouter_api_key.get_secret_value()
    made = Provider(settings.openrouter_base_url, key, settings.tagging_request_timeout, utc_now, settings.proxies)
    async with open_database(settings) as database, made as provider:
        news = Signal()
        stored = StoredSettings(database, utc_now)
        await stored.load()
        worker = _worker(settings, database, provider, policy, news.send, on_finished)
        yield Engine(settings, stored, database, provider, policy, worker, news)


def set_up_process(settings: Settings) -> asyncio.Event:
    """Configure logging. Returns the event that SIGTERM and SIGINT set."""
    configure_logging(settings.log_level, settings.log_format, settings.secrets())
    if unknown := unknown_names():
        log.warning("unknown_settings", names=unknown)
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    return stopping


async def run_until(stopping: asyncio.Event, tasks: BackgroundTasks, database: Database) -> int:
    """Until `stopping` is set, or the SQLite file is lost. Returns the exit status."""
    file = database.file
    if file is None:
        await stopping.wait()
    elif await unless_set(stopping, file.until_lost()):
        log.critical("database_file_lost", file=str(file.path), todo=FILE_LOST)
        await tasks.stop(LOST_SECONDS)
        return 1
    log.info("stopping")
    await tasks.stop(STOP_SECONDS)
    return 0


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
