"""The composition root of the bot: settings → engine → services → worker, Telegram while it leads, and HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from random import Random
from zoneinfo import ZoneInfo

import structlog
from pydantic import SecretStr
from sqlalchemy import Select, or_, select

from bot import __version__
from bot.errors import StartError
from bot.i18n import I18n
from bot.monitoring.metrics import Metrics
from bot.runtime import collector
from bot.runtime.background_tasks import Loops
from bot.runtime.bell import Bell
from bot.runtime.database_startup import settings_or_stop
from bot.runtime.engine import Engine, open_engine, run_until, set_up_process
from bot.runtime.leader import Leader, Reception, Services
from bot.settings import APPOINT, Settings
from bot.telegram.health import TelegramHealth
from bot.web.app import serve_http
from services.accounts.people import People
from services.availability.rate_limit import RateLimit
from services.clock import utc_now
from services.following.service import Channels
from services.ingest.channel_posts import Intake
from services.ingest.imports import Imports
from services.ingest.received_updates import Inbox
from services.library.bot_queries import BotQueries
from services.library.export import Exporter
from services.library.feeds import Feeds
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService
from storage import outbox
from storage.channels import hashtags
from storage.db.coordination import NEWS_CHANNEL, Look
from storage.posts import received_updates

log = structlog.get_logger(__name__)


async def run_bot() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        StartError: a setting is wrong, or something that is needed is not there.
    """
    settings = settings_or_stop()
    token = _token(settings)
    stopping = set_up_process(settings)
    bell, metrics = Bell(), Metrics(settings.models, __version__)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, metrics.finished))
        services, reception = make_services(engine), make_reception(engine)
        with _address_of(settings):
            await stack.enter_async_context(serve_http(engine, services, reception, metrics))
        loops = Loops()
        start(engine, loops, Leader(token, engine, services, bell, reception, metrics), bell, reception)
        collector.settle()
        log.info("started", version=__version__)
        await run_until(stopping, loops)
    log.info("stopped")
    return 0


def make_reception(engine: Engine) -> Reception:
    """What receives updates: `inbox.receive` is for the webhook's route, `health` for whoever asks."""
    arrivals = Bell()
    return Reception(Inbox(engine.database, utc_now, arrivals.ring), arrivals, TelegramHealth(utc_now))


def start(engine: Engine, loops: Loops, leader: Leader, bell: Bell, reception: Reception) -> None:
    """Set everything going but the HTTP server: the worker, and Telegram while this process leads.

    `bell` is rung when there is something to tell people.
    """
    if not engine.settings.admin_ids:
        log.warning("no_administrators", todo=APPOINT)
    listeners = {NEWS_CHANNEL: bell.ring}
    if engine.settings.webhook_url:
        # With polling nobody stores updates.
        listeners[received_updates.CHANNEL] = reception.arrivals.ring
    engine.start(loops, leader.term, listeners, Look(is_any_work, bell.ring))


def is_any_work() -> Select[tuple[bool]]:
    """Whether there is anything to tell people, or to write into channels."""
    return select(or_(outbox.is_any_open().scalar_subquery(), hashtags.is_any_ready().scalar_subquery()))


def _token(settings: Settings) -> SecretStr:
    if settings.bot_token is None:
        raise StartError(
            "BOT_TOKEN is empty. Write /newbot to https://t.me/BotFather and put the token it gives into .env "
            "(BOT_TOKEN=…). To see Metka without a token: make demo"
        )
    return settings.bot_token


def make_services(engine: Engine) -> Services:
    """The use cases that handlers call, of the chat and of the HTTP API."""
    settings, database, worker = engine.settings, engine.database, engine.worker
    people = People(database, settings.admin_ids, utc_now)
    to_read = Bell()
    return Services(
        people=people,
        queries=BotQueries(database, utc_now),
        intake=Intake(database, people, worker.wake, utc_now),
        channels=Channels(database, to_read.ring, utc_now),
        outbox=Outbox(database, utc_now),
        tagging=TaggingService(
            database,
            engine.provider,
            settings.models,
            engine.policy,
            RateLimit(settings.tagging_requests_per_minute),
            enabled=settings.tagging_enabled,
            wake=worker.wake,
            probe=worker.probe,
            clock=utc_now,
            random=Random(),
        ),
        imports=Imports(database, worker.wake, utc_now),
        exporting=Exporter(database),
        feeds=Feeds(database, people, settings.public_url, utc_now),
        i18n=I18n(ZoneInfo(settings.timezone), utc_now),
        to_read=to_read,
    )


@contextmanager
def _address_of(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(
            f"HTTP_HOST, HTTP_PORT: {settings.http_host}:{settings.http_port} cannot be used ({error.strerror}): "
            "name another port, or an address of this machine."
        ) from None
