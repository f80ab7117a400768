"""The composition root: settings → database → services → Telegram, scheduler, worker, HTTP; closed in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from zoneinfo import ZoneInfo

import structlog

from bot import __version__
from bot.errors import StartError
from bot.jobs import make_scheduler
from bot.logs import configure_logging
from bot.notifier import Notifier
from bot.opening import open_database, settings_or_stop
from bot.progress import Progress
from bot.settings import Settings
from bot.telegram import Telegram, open_telegram
from bot.web.server import make_web_app, serve
from services.clock import utc_now
from services.decisions import Policy
from services.intake import Intake
from services.outbox import Outbox
from services.overview import Overview
from services.pacing import Pacer
from services.people import People
from services.provider import Provider
from services.recorder import Recorder
from services.tagging import TaggingService
from services.worker import Worker
from storage.database import Database

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """What tags, and what is told of it."""

    worker: Worker
    tagging: TaggingService
    outbox: Outbox
    overview: Overview
    people: People
    intake: Intake
    news: asyncio.Event


async def run_bot() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status."""
    settings = settings_or_stop()
    _check(settings)
    configure_logging(settings.log_level, settings.log_format, settings.secrets())
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        engine = await _build(settings, database, stack)
        await _start(settings, engine, stack)
        log.info("started", version=__version__, pid_file=None)
        await stopping.wait()
        log.info("stopping")
    log.info("stopped")
    return 0


def _check(settings: Settings) -> None:
    if settings.bot_token is None:
        raise StartError(
            "BOT_TOKEN is empty. Write to https://t.me/BotFather, send /newbot, and put the token it gives into .env "
            "(BOT_TOKEN=…). To see Metka without a token: make demo"
        )
    if settings.webhook_url:
        raise StartError("WEBHOOK_URL: this version only polls; leave it empty.")


async def _build(settings: Settings, database: Database, stack: AsyncExitStack) -> Engine:
    chain, random, news = settings.models, Random(), asyncio.Event()
    policy = Policy(
        settings.tagging_max_retries,
        settings.tagging_retry_delay,
        settings.tagging_max_attempts,
        settings.tagging_backoff_seconds,
    )
    provider = await stack.enter_async_context(
        Provider(
            settings.openrouter_base_url,
            settings.openrouter_api_key.get_secret_value(),
            settings.tagging_request_timeout,
            utc_now,
        )
    )
    worker = Worker(
        database,
        provider,
        Recorder(chain, policy, settings.admin_ids, utc_now, random),
        Pacer(settings.tagging_requests_per_minute),
        chain,
        concurrency=settings.tagging_concurrency,
        lease_seconds=settings.lease_seconds,
        clock=utc_now,
        on_news=news.set,
    )
    tagging = TaggingService(
        database,
        provider,
        chain,
        policy,
        enabled=settings.tagging_enabled,
        wake=worker.wake,
        probe=worker.probe,
        clock=utc_now,
        random=random,
    )
    people = People(database, settings.admin_ids, utc_now)
    return Engine(
        worker=worker,
        tagging=tagging,
        outbox=Outbox(database, utc_now),
        overview=Overview(database, utc_now),
        people=people,
        intake=Intake(database, people, worker.wake, utc_now),
        news=news,
    )


async def _start(settings: Settings, engine: Engine, stack: AsyncExitStack) -> None:
    """Start everything; the stack stops it in the opposite order, so that what feeds stops before what it feeds."""
    try:
        await stack.enter_async_context(serve(make_web_app(), settings.http_host, settings.http_port))
    except OSError as error:
        raise StartError(
            f"HTTP_PORT {settings.http_port} on {settings.http_host} cannot be used ({error.strerror}): name another."
        ) from None
    telegram = await stack.enter_async_context(_telegram(settings, engine))
    timezone = ZoneInfo(settings.timezone)
    del timezone
    notifier = Notifier(telegram.bot, engine.outbox, engine.overview, engine.news)
    progress = Progress(telegram.bot, engine.tagging)
    _spawn(stack, "notifier", notifier.run, notifier.stop)
    _spawn(stack, "progress", progress.run, progress.stop)
    if settings.tagging_enabled:
        log.info("tagging", model=settings.models[0], fallbacks=list(settings.models[1:]))
        _spawn(stack, "worker", engine.worker.run, engine.worker.stop)
    else:
        log.warning("tagging_disabled", todo="set OPENROUTER_API_KEY in .env and start again")
    scheduler = make_scheduler(
        engine.tagging,
        engine.worker.wake,
        interval_seconds=settings.retry_interval_seconds,
        cron=settings.retry_cron,
        cron_limit=settings.retry_cron_limit,
        timezone=settings.timezone,
    )
    scheduler.start()
    stack.callback(scheduler.shutdown, wait=False)
    _spawn(stack, "polling", telegram.poller.run, telegram.poller.stop)


def _spawn(stack: AsyncExitStack, name: str, run: Callable[[], Awaitable[None]], stop: Callable[[], None]) -> None:
    """Run a loop as a task; at the end ask it to stop and wait until it has."""
    task = asyncio.ensure_future(run())

    async def finish() -> None:
        stop()
        await task

    stack.push_async_callback(finish)


def _telegram(settings: Settings, engine: Engine) -> Telegram:
    return open_telegram(settings, engine)
