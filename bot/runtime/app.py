"""The composition root of the bot: settings → engine → services → HTTP, worker, and Telegram while it leads."""

from contextlib import AsyncExitStack
from random import Random
from zoneinfo import ZoneInfo

import structlog
from pydantic import SecretStr
from sqlalchemy import Select, or_, select

from bot import __version__
from bot.errors import StartError
from bot.i18n import I18n
from bot.monitoring.metrics import Metrics
from bot.runtime.background_tasks import BackgroundTasks
from bot.runtime.database_startup import settings_or_stop
from bot.runtime.engine import Engine, open_engine, run_until, set_up_process
from bot.runtime.http import serve_http
from bot.runtime.leader import Leader, Reception, Services
from bot.runtime.signals import Signal
from bot.settings import APPOINT, Settings
from bot.telegram.health import TelegramHealth
from services.accounts.people import People
from services.accounts.preferences import Preferences
from services.availability.rate_limit import RateLimit
from services.charts.activity import Activities
from services.charts.process import ChartDrawing
from services.clock import utc_now
from services.following.service import ChannelService
from services.ingest.channel_posts import ChannelPosts
from services.ingest.imports import Imports
from services.ingest.received_updates import ReceivedUpdates
from services.library.bot_queries import BotQueries
from services.library.digests import Digests
from services.library.export import Exporter
from services.library.feeds import Feeds
from services.library.search import Search
from services.library.watches import Watches
from services.notifications.outbox import Outbox
from services.tagging.rules_trial import RulesTrial
from services.tagging.service import TaggingService
from services.tags.user_rules import UserRules
from storage import outbox
from storage.channels import hashtags
from storage.db.coordination import NEWS_CHANNEL, Look
from storage.posts import received_updates

log = structlog.get_logger(__name__)


async def run_bot() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status. Raises StartError."""
    settings = settings_or_stop()
    token = _token(settings)
    stopping = set_up_process(settings)
    news, metrics = Signal(), Metrics(settings.models, __version__)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, metrics.finished))
        services, reception = make_services(engine), make_reception(engine)
        try:
            await stack.enter_async_context(serve_http(engine, services, reception, metrics))
        except OSError as error:
            raise StartError(
                f"HTTP_HOST, HTTP_PORT: {settings.http_host}:{settings.http_port} cannot be used ({error.strerror}): "
                "name another port, or an address of this machine."
            ) from None
        tasks = BackgroundTasks()
        start(engine, tasks, Leader(token, engine, services, news, reception, metrics), news, reception)
        log.info("started", version=__version__)
        status = await run_until(stopping, tasks, engine.database)
    log.info("stopped")
    return status


def make_reception(engine: Engine) -> Reception:
    arrivals = Signal()
    return Reception(ReceivedUpdates(engine.database, utc_now, arrivals.send), arrivals, TelegramHealth(utc_now))


def start(engine: Engine, tasks: BackgroundTasks, leader: Leader, news: Signal, reception: Reception) -> None:
    if not engine.settings.admin_ids:
        log.warning("no_administrators", todo=APPOINT)
    listeners = {NEWS_CHANNEL: news.send}
    if engine.settings.webhook_url:
        listeners[received_updates.CHANNEL] = reception.arrivals.send
    engine.start(tasks, leader.term, listeners, Look(is_any_work, news.send))


def is_any_work() -> Select[tuple[bool]]:
    return select(or_(outbox.is_any_open().scalar_subquery(), hashtags.is_any_ready().scalar_subquery()))


def _token(settings: Settings) -> SecretStr:
    if settings.bot_token is None:
        raise StartError(
            "BOT_TOKEN is empty. Write /newbot to https://t.me/BotFather and put the token it gives into .env "
            "(BOT_TOKEN=…). To see Metka without a token: make demo"
        )
    return settings.bot_token


def make_services(engine: Engine) -> Services:
    settings, database, worker = engine.settings, engine.database, engine.worker
    people = People(database, settings.admin_ids, utc_now)
    to_read, rate_limit = Signal(), RateLimit(settings.tagging_requests_per_minute)
    queries = BotQueries(database, utc_now)
    return Services(
        people=people,
        queries=queries,
        digests=Digests(database, people, ZoneInfo(settings.timezone), utc_now),
        watches=Watches(database, queries, ZoneInfo(settings.timezone), utc_now),
        search=Search(database, queries, enabled=settings.search_index),
        channel_posts=ChannelPosts(database, people, worker.wake, utc_now),
        channels=ChannelService(database, to_read.send, utc_now),
        outbox=Outbox(database, utc_now, ZoneInfo(settings.timezone)),
        preferences=Preferences(database, ZoneInfo(settings.timezone), utc_now),
        activities=Activities(database, ZoneInfo(settings.timezone), utc_now),
        charts=ChartDrawing(),
        tagging=TaggingService(
            database,
            engine.provider,
            settings.models,
            engine.policy,
            rate_limit,
            batch_size=settings.tagging_batch_size,
            enabled=settings.tagging_enabled,
            wake=worker.wake,
            probe=worker.probe,
            clock=utc_now,
            random=Random(),
        ),
        rules=UserRules(database, utc_now),
        rules_trial=RulesTrial(
            database, engine.provider, settings.models, rate_limit, utc_now, enabled=settings.tagging_enabled
        ),
        imports=Imports(database, worker.wake, utc_now),
        exporting=Exporter(database),
        feeds=Feeds(database, people, settings.public_url, utc_now),
        i18n=I18n(ZoneInfo(settings.timezone), utc_now),
        to_read=to_read,
    )
