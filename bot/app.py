"""The composition root of the bot: settings → engine → services → HTTP, worker, and Telegram while it leads."""

from __future__ import annotations

from contextlib import AsyncExitStack
from random import Random
from zoneinfo import ZoneInfo

import structlog
from pydantic import SecretStr

from bot import __version__
from bot.engine import Engine, open_engine, run_until, set_up_process
from bot.errors import StartError
from bot.i18n import I18n
from bot.leader import Bell, Leader, Services
from bot.loops import Loops
from bot.metrics import Metrics
from bot.opening import settings_or_stop
from bot.settings import Settings
from bot.web.server import make_web_app, serve
from services.budget import Pace
from services.clock import utc_now
from services.intake import Intake
from services.outbox import Outbox
from services.overview import Overview
from services.people import People
from services.tagging import TaggingService

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
        await _serve(settings, stack)
        loops = Loops()
        engine.start(loops, Leader(token, engine, _services(engine), bell, metrics).term)
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


async def _serve(settings: Settings, stack: AsyncExitStack) -> None:
    try:
        await stack.enter_async_context(serve(make_web_app(), settings.http_host, settings.http_port))
    except OSError as error:
        raise StartError(
            f"HTTP_PORT: {settings.http_host}:{settings.http_port} cannot be used ({error.strerror}): name another."
        ) from None
