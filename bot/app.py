"""The composition root of the bot: settings → engine → services → HTTP, worker, and Telegram while it leads."""

from __future__ import annotations

from contextlib import AsyncExitStack
from random import Random
from zoneinfo import ZoneInfo

import structlog
from pydantic import SecretStr
from starlette.types import ASGIApp

from bot import __version__
from bot.engine import Engine, open_engine, run_until, set_up_process
from bot.errors import StartError
from bot.exposition import Exposition
from bot.health import TelegramHealth
from bot.i18n import I18n
from bot.leader import Bell, Leader, Reception, Services
from bot.loops import Loops
from bot.metrics import Metrics
from bot.opening import settings_or_stop
from bot.settings import Settings
from bot.web.access import Gate
from bot.web.app import make_web_app
from bot.web.dependencies import Backend
from bot.web.health import Watch
from bot.web.server import serve
from bot.web.webhook import Hook
from services.budget import Pace
from services.clock import utc_now
from services.gauges import Gauges
from services.inbox import Inbox
from services.intake import Intake
from services.listing import Listing
from services.outbox import Outbox
from services.overview import Overview
from services.people import People
from services.tagging import TaggingService
from services.tokens import Tokens
from storage import updates

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
        engine = await stack.enter_async_context(open_engine(settings, on_news=bell.ring, on_finished=metrics.finished))
        services, reception = make_services(engine), make_reception(engine)
        gauges = Gauges(engine.database, settings.models, enabled=settings.tagging_enabled, clock=utc_now)
        stack.push_async_callback(gauges.close)
        await _serve(_web(engine, services, reception, Exposition(metrics, gauges)), settings, stack)
        loops = Loops()
        start(engine, loops, Leader(token, engine, services, bell, reception, metrics), reception)
        log.info("started", version=__version__)
        await run_until(stopping, loops)
    log.info("stopped")
    return 0


def make_reception(engine: Engine) -> Reception:
    """What receives updates: `inbox.receive` is for the webhook's route, `health` for whoever asks."""
    arrivals = Bell()
    return Reception(Inbox(engine.database, utc_now, arrivals.ring), arrivals, TelegramHealth(utc_now))


def start(engine: Engine, loops: Loops, leader: Leader, reception: Reception) -> None:
    """Set everything going but the HTTP server: the worker, and Telegram while this process leads."""
    # With polling nobody stores updates.
    listeners = {updates.CHANNEL: reception.arrivals.ring} if engine.settings.webhook_url else {}
    engine.start(loops, leader.term, listeners)


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
    return Services(
        people=people,
        overview=Overview(database, utc_now),
        intake=Intake(database, people, worker.wake, utc_now),
        outbox=Outbox(database, utc_now),
        tagging=TaggingService(
            database,
            engine.provider,
            settings.models,
            engine.policy,
            Pace(settings.tagging_requests_per_minute),
            enabled=settings.tagging_enabled,
            wake=worker.wake,
            probe=worker.probe,
            clock=utc_now,
            random=Random(),
        ),
        i18n=I18n(ZoneInfo(settings.timezone), utc_now),
    )


def _web(engine: Engine, services: Services, reception: Reception, exposition: Exposition) -> ASGIApp:
    settings, database = engine.settings, engine.database
    token = settings.api_token.get_secret_value() if settings.api_token else None
    backend = Backend(
        gate=Gate(token, Tokens(database, services.people, utc_now)),
        listing=Listing(database),
        tagging=services.tagging,
        max_attempts=settings.tagging_max_attempts,
    )
    watch = Watch(database, services.tagging, reception.health.look)
    return make_web_app(backend, watch, exposition, hook=_hook(settings, reception))


def _hook(settings: Settings, reception: Reception) -> Hook | None:
    if settings.webhook_path is None or settings.webhook_secret is None:
        return None
    return Hook(settings.webhook_path, settings.webhook_secret.get_secret_value(), reception.inbox.receive)


async def _serve(app: ASGIApp, settings: Settings, stack: AsyncExitStack) -> None:
    try:
        await stack.enter_async_context(serve(app, settings.http_host, settings.http_port))
    except OSError as error:
        raise StartError(
            f"HTTP_HOST, HTTP_PORT: {settings.http_host}:{settings.http_port} cannot be used ({error.strerror}): "
            "name another port, or an address of this machine."
        ) from None
