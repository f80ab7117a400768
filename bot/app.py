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
from bot.health import TelegramHealth
from bot.i18n import I18n
from bot.leader import Bell, Leader, Services
from bot.loops import Loops
from bot.opening import settings_or_stop
from bot.settings import Settings
from bot.web.access import Gate
from bot.web.app import make_web_app
from bot.web.dependencies import Backend
from bot.web.health import Watch
from bot.web.server import serve
from services.budget import Pace
from services.clock import utc_now
from services.intake import Intake
from services.listing import Listing
from services.outbox import Outbox
from services.overview import Overview
from services.people import People
from services.tagging import TaggingService
from services.tokens import Tokens

log = structlog.get_logger(__name__)


async def run_bot() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        StartError: a setting is wrong, or something that is needed is not there.
    """
    settings = settings_or_stop()
    token = _token(settings)
    stopping = set_up_process(settings)
    bell = Bell()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, on_news=bell.ring))
        services, telegram = _services(engine), TelegramHealth(utc_now)
        await _serve(_web(engine, services, telegram), settings, stack)
        loops = Loops()
        engine.start(loops, Leader(token, engine, services, bell).term)
        log.info("started", version=__version__)
        await run_until(stopping, loops)
    log.info("stopped")
    return 0


def _token(settings: Settings) -> SecretStr:
    if settings.bot_token is None:
        raise StartError(
            "BOT_TOKEN is empty. Write /newbot to https://t.me/BotFather and put the token it gives into .env "
            "(BOT_TOKEN=…). To see Metka without a token: make demo"
        )
    return settings.bot_token


def _services(engine: Engine) -> Services:
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


def _web(engine: Engine, services: Services, telegram: TelegramHealth) -> ASGIApp:
    settings, database = engine.settings, engine.database
    token = settings.api_token.get_secret_value() if settings.api_token else None
    backend = Backend(
        gate=Gate(token, Tokens(database, services.people, utc_now)),
        listing=Listing(database),
        overview=services.overview,
        tagging=services.tagging,
        max_attempts=settings.tagging_max_attempts,
    )
    return make_web_app(backend, Watch(database, services.tagging, telegram.look))


async def _serve(app: ASGIApp, settings: Settings, stack: AsyncExitStack) -> None:
    try:
        await stack.enter_async_context(serve(app, settings.http_host, settings.http_port))
    except OSError as error:
        raise StartError(
            f"HTTP_PORT: {settings.http_host}:{settings.http_port} cannot be used ({error.strerror}): name another."
        ) from None
