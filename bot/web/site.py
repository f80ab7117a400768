"""The HTTP side as a whole, imported late by `bot.runtime.app`: the import takes a while."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from bot.monitoring.exposition import Exposition
from bot.monitoring.metrics import Metrics
from bot.runtime.engine import Engine
from bot.runtime.leader import Reception, Services
from bot.settings import Settings
from bot.web.access import Gate
from bot.web.app import make_web_app
from bot.web.dependencies import Backend
from bot.web.health import Watch
from bot.web.server import serve
from bot.web.webhook import Hook
from services.accounts.tokens import Tokens
from services.clock import utc_now
from services.ingest.api_posts import Submissions
from services.library.api_queries import ApiQueries
from services.metrics import MetricsReader


@asynccontextmanager
async def served(
    listener: socket.socket, engine: Engine, services: Services, reception: Reception, metrics: Metrics
) -> AsyncIterator[None]:
    """Answer on the listener while the block runs."""
    gauges = MetricsReader(
        engine.database, engine.settings.models, enabled=engine.settings.tagging_enabled, clock=utc_now
    )
    try:
        async with serve(_app(engine, services, reception, Exposition(metrics, gauges)), listener):
            yield
    finally:
        await gauges.close()


def _app(engine: Engine, services: Services, reception: Reception, exposition: Exposition) -> ASGIApp:
    settings, database = engine.settings, engine.database
    token = settings.api_token.get_secret_value() if settings.api_token else None
    backend = Backend(
        gate=Gate(token, Tokens(database, services.people, utc_now)),
        listing=ApiQueries(database),
        submissions=Submissions(database, engine.worker.wake, utc_now),
        feeds=services.feeds,
        i18n=services.i18n,
        tagging=services.tagging,
        channels=services.channels,
        max_attempts=settings.tagging_max_attempts,
    )
    watch = Watch(database, services.tagging, reception.health.look)
    return make_web_app(backend, watch, exposition, hook=_hook(settings, reception))


def _hook(settings: Settings, reception: Reception) -> Hook | None:
    if settings.webhook_path is None or settings.webhook_secret is None:
        return None
    return Hook(settings.webhook_path, settings.webhook_secret.get_secret_value(), reception.inbox.receive)
