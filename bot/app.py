"""The composition root: settings → database → services → Telegram, worker, scheduler; stopped in the opposite order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from aiogram import Bot

from bot import __version__
from bot.errors import StartError
from bot.i18n import I18n
from bot.jobs import make_scheduler
from bot.logs import configure_logging
from bot.notifier import Notifier
from bot.opening import open_database, settings_or_stop
from bot.progress import Progress
from bot.settings import Settings
from bot.telegram import Polling, make_bot, make_dispatcher, publish_commands
from bot.web.server import make_web_app, serve
from services.alerts import AlertWatch
from services.budget import Pace
from services.clock import utc_now
from services.decisions import Policy
from services.dispatch import Dispatcher
from services.intake import Intake
from services.outbox import Outbox
from services.overview import Overview
from services.people import People
from services.provider import Provider
from services.quota import QuotaWatch
from services.recorder import Recorder
from services.tagging import TaggingService
from services.worker import Worker
from storage.database import Database

log = structlog.get_logger(__name__)


async def run_bot() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        StartError: a setting is wrong, or something that is needed is not there.
    """
    settings = settings_or_stop()
    _check(settings)
    configure_logging(settings.log_level, settings.log_format, settings.secrets())
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    async with AsyncExitStack() as stack:
        await _start(settings, await stack.enter_async_context(open_database(settings)), stack)
        log.info("started", version=__version__)
        await stopping.wait()
        log.info("stopping")
    log.info("stopped")
    return 0


def _check(settings: Settings) -> None:
    if settings.bot_token is None:
        raise StartError(
            "BOT_TOKEN is empty. Write /newbot to https://t.me/BotFather and put the token it gives into .env "
            "(BOT_TOKEN=…). To see Metka without a token: make demo"
        )


async def _start(settings: Settings, database: Database, stack: AsyncExitStack) -> None:
    """Build everything and set it going; what feeds is started last, and so stopped first."""
    people = People(database, settings.admin_ids, utc_now)
    overview, outbox = Overview(database, utc_now), Outbox(database, utc_now)
    i18n = I18n(ZoneInfo(settings.timezone), utc_now)
    bot = await _open_bot(settings, stack)
    notifier = Notifier(bot, outbox, overview, i18n, settings.admin_ids, utc_now)
    provider = await stack.enter_async_context(_provider(settings))
    worker = _worker(settings, database, provider, notifier.wake)
    tagging = TaggingService(
        database,
        provider,
        settings.models,
        _policy(settings),
        Pace(settings.tagging_requests_per_minute),
        enabled=settings.tagging_enabled,
        wake=worker.wake,
        probe=worker.probe,
        clock=utc_now,
        random=Random(),
    )
    progress = Progress(bot, tagging, people, i18n, utc_now)
    dispatcher = make_dispatcher(
        bot,
        people=people,
        overview=overview,
        intake=Intake(database, people, worker.wake, utc_now),
        outbox=outbox,
        tagging=tagging,
        progress=progress,
        i18n=i18n,
    )
    await _serve(settings, stack)
    _background(stack, notifier.run(), notifier.stop)
    _background(stack, progress.run(), progress.stop)
    _background(stack, publish_commands(bot, i18n))
    _tag(settings, worker, QuotaWatch(database, provider, settings.models, utc_now), stack)
    _schedule(settings, database, tagging, worker, stack)
    polling = Polling(bot, dispatcher)
    task = asyncio.create_task(polling.run())
    stack.push_async_callback(_finish, task)
    stack.push_async_callback(polling.stop)


async def _open_bot(settings: Settings, stack: AsyncExitStack) -> Bot:
    if settings.bot_token is None:
        raise StartError("BOT_TOKEN is empty.")
    bot = make_bot(settings.bot_token, settings.telegram_api_url)
    stack.push_async_callback(bot.session.close)
    return bot


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


def _worker(settings: Settings, database: Database, provider: Provider, on_news: Callable[[], None]) -> Worker:
    policy, pace = _policy(settings), Pace(settings.tagging_requests_per_minute)
    recorder = Recorder(settings.models, policy, pace, settings.admin_ids, utc_now, Random())
    dispatcher = Dispatcher(
        recorder,
        settings.models,
        policy,
        pace,
        concurrency=settings.tagging_concurrency,
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
    )


async def _serve(settings: Settings, stack: AsyncExitStack) -> None:
    try:
        await stack.enter_async_context(serve(make_web_app(), settings.http_host, settings.http_port))
    except OSError as error:
        raise StartError(
            f"HTTP_PORT: {settings.http_host}:{settings.http_port} cannot be used ({error.strerror}): name another."
        ) from None


def _tag(settings: Settings, worker: Worker, quota: QuotaWatch, stack: AsyncExitStack) -> None:
    if not settings.tagging_enabled:
        log.warning("tagging_disabled", todo="put OPENROUTER_API_KEY into .env and start again")
        return
    log.info("tagging_enabled", model=settings.models[0], fallbacks=list(settings.models[1:]))
    _background(stack, quota.run(), quota.stop)
    _background(stack, worker.run(), worker.stop)


def _schedule(
    settings: Settings, database: Database, tagging: TaggingService, worker: Worker, stack: AsyncExitStack
) -> None:
    alerts = AlertWatch(database, settings.models, settings.admin_ids, settings.alert_failed_percent, utc_now)
    scheduler = make_scheduler(
        tagging,
        alerts,
        worker.wake,
        interval_seconds=settings.retry_interval_seconds,
        cron=settings.retry_cron,
        cron_limit=settings.retry_cron_limit,
        timezone=settings.timezone,
    )
    scheduler.start()
    stack.callback(scheduler.shutdown, wait=False)


def _background(stack: AsyncExitStack, loop: Coroutine[Any, Any, None], stop: Callable[[], None] | None = None) -> None:
    """Run a loop as a task; at the end it is asked to stop, or cancelled where it has no `stop`."""
    task = asyncio.create_task(loop)
    stack.push_async_callback(_finish, task)
    stack.callback(stop if stop is not None else task.cancel)


async def _finish(task: Awaitable[None]) -> None:
    with suppress(asyncio.CancelledError):
        await task
