from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.monitoring.exposition import Exposition
from bot.monitoring.metrics import Metrics
from bot.runtime.engine import Engine
from bot.runtime.leader import Reception, Services
from bot.settings import Settings
from bot.web.app import make_web_app
from bot.web.auth import Authenticator
from bot.web.dependencies import Backend
from bot.web.readiness import ReadinessCheck
from bot.web.routers.webhook import TelegramWebhook
from bot.web.server import serve
from services.accounts.tokens import Tokens
from services.clock import utc_now
from services.ingest.api_posts import ApiPosts
from services.library.api_queries import ApiQueries
from services.metrics import MetricsReader
from services.tags.post_tags import PostTags
from services.tags.vocabulary import Vocabularies


@asynccontextmanager
async def serve_http(
    engine: Engine, services: Services, reception: Reception, process_metrics: Metrics
) -> AsyncIterator[None]:
    """Serve on HTTP_HOST and HTTP_PORT while the block runs. Raises OSError if the address cannot be used."""
    settings = engine.settings
    gauges = MetricsReader(engine.database, settings.models, enabled=settings.tagging_enabled, clock=utc_now)
    backend = _backend(engine, services, reception, Exposition(process_metrics, gauges))
    app = make_web_app(backend, webhook=_webhook(settings, reception))
    try:
        async with serve(app, settings.http_host, settings.http_port):
            yield
    finally:
        await gauges.close()


def _backend(engine: Engine, services: Services, reception: Reception, exposition: Exposition) -> Backend:
    settings, database = engine.settings, engine.database
    api_token = settings.api_token.get_secret_value() if settings.api_token else None
    return Backend(
        authenticator=Authenticator(api_token, Tokens(database, services.people, utc_now)),
        listing=ApiQueries(database, services.search),
        api_posts=ApiPosts(database, engine.worker.wake, utc_now),
        feeds=services.feeds,
        i18n=services.i18n,
        tagging=services.tagging,
        rules=services.rules,
        channels=services.channels,
        vocabularies=Vocabularies(database, utc_now, lambda: None),
        post_tags=PostTags(database, utc_now),
        readiness=ReadinessCheck(database, services.tagging, reception.health.look),
        exposition=exposition,
        max_attempts=settings.tagging_max_attempts,
    )


def _webhook(settings: Settings, reception: Reception) -> TelegramWebhook | None:
    if settings.webhook_path is None or settings.webhook_secret is None:
        return None
    secret = settings.webhook_secret.get_secret_value()
    return TelegramWebhook(settings.webhook_path, secret, reception.inbox.receive)
