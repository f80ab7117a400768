"""Puts the HTTP server together: middlewares, routers, and the services they call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope

from bot import __version__
from bot.monitoring.exposition import Exposition
from bot.monitoring.metrics import Metrics
from bot.runtime.engine import Engine
from bot.runtime.leader import Reception, Services
from bot.settings import Settings
from bot.web.auth import Authenticator
from bot.web.body_limit import BodyLimit
from bot.web.dependencies import Backend
from bot.web.errors import add_error_handlers
from bot.web.head_as_get import HeadAsGet
from bot.web.pages import add_pages
from bot.web.rate_limit import RATE, RateLimit
from bot.web.readiness import ReadinessCheck
from bot.web.request_id import RequestId
from bot.web.routers import feeds, health, metrics, new_posts, posts, posts_stream, users
from bot.web.routers.webhook import TelegramWebhook, make_router
from bot.web.server import serve
from services.accounts.tokens import Tokens
from services.clock import utc_now
from services.ingest.api_posts import Submissions
from services.library.api_queries import ApiQueries
from services.metrics import MetricsReader

DESCRIPTION = (
    "Tags of Telegram posts: what they are, how far they are, and trying again. Times are ISO 8601 in UTC. "
    "Every error is JSON with a `detail`."
)
#: A probe that is refused would have the process restarted.
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})


@asynccontextmanager
async def serve_http(
    engine: Engine, services: Services, reception: Reception, process_metrics: Metrics
) -> AsyncIterator[None]:
    """Serve on HTTP_HOST and HTTP_PORT while the block runs.

    Raises:
        OSError: the address is taken, or not this machine's.
    """
    settings = engine.settings
    gauges = MetricsReader(engine.database, settings.models, enabled=settings.tagging_enabled, clock=utc_now)
    backend = _backend(engine, services, reception, Exposition(process_metrics, gauges))
    app = make_web_app(backend, webhook=_webhook(settings, reception))
    try:
        async with serve(app, settings.http_host, settings.http_port):
            yield
    finally:
        await gauges.close()


def make_web_app(backend: Backend, *, webhook: TelegramWebhook | None = None, rate: float = RATE) -> ASGIApp:
    """The ASGI application. `webhook` is None if the bot polls; `rate` is requests a second from one address."""
    api = FastAPI(
        title="Metka",
        version=__version__,
        description=DESCRIPTION,
        # Relative to the document, for a path prefix of a reverse proxy.
        servers=[{"url": "."}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.state.backend = backend
    for topic in (posts, new_posts, posts_stream, users, feeds, health, metrics):
        api.include_router(topic.router)
    if webhook is not None:
        api.include_router(make_router(webhook))
    add_error_handlers(api)
    add_pages(api)
    if backend.authenticator.is_open_to_loopback:
        _document_optional_token(api)

    def is_exempt(scope: Scope) -> bool:
        return scope["path"] in HEALTH_PATHS or (webhook is not None and webhook.is_from_telegram(scope))

    return RequestId(RateLimit(BodyLimit(HeadAsGet(api)), is_exempt, rate))


def _document_optional_token(api: FastAPI) -> None:
    make = api.openapi

    # Made when it is asked for: that takes longer than the rest of the start.
    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            for path in make()["paths"].values():
                for operation in path.values():
                    if "security" in operation:
                        operation["security"].append({})
        return api.openapi_schema or {}

    api.openapi = openapi  # type: ignore[method-assign]


def _backend(engine: Engine, services: Services, reception: Reception, exposition: Exposition) -> Backend:
    settings, database = engine.settings, engine.database
    api_token = settings.api_token.get_secret_value() if settings.api_token else None
    return Backend(
        authenticator=Authenticator(api_token, Tokens(database, services.people, utc_now)),
        listing=ApiQueries(database),
        submissions=Submissions(database, engine.worker.wake, utc_now),
        feeds=services.feeds,
        i18n=services.i18n,
        tagging=services.tagging,
        channels=services.channels,
        readiness=ReadinessCheck(database, services.tagging, reception.health.look),
        exposition=exposition,
        max_attempts=settings.tagging_max_attempts,
    )


def _webhook(settings: Settings, reception: Reception) -> TelegramWebhook | None:
    if settings.webhook_path is None or settings.webhook_secret is None:
        return None
    secret = settings.webhook_secret.get_secret_value()
    return TelegramWebhook(settings.webhook_path, secret, reception.inbox.receive)
