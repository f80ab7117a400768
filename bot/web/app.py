from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope

from bot import __version__
from bot.web.body_limit import BodyLimit
from bot.web.dependencies import Backend
from bot.web.errors import add_error_handlers
from bot.web.head_as_get import HeadAsGet
from bot.web.pages import add_pages
from bot.web.rate_limit import RATE, AddressRateLimit
from bot.web.request_id import RequestId
from bot.web.routers import feeds, health, metrics, new_posts, posts, posts_stream, rules, tags, users
from bot.web.routers.webhook import TelegramWebhook, make_router

DESCRIPTION = (
    "Tags of Telegram posts: what they are, how far they are, and trying again. Times are ISO 8601 in UTC. "
    "Every error is JSON with a `detail`."
)
#: A probe that is refused would have the process restarted.
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})


def make_web_app(backend: Backend, *, webhook: TelegramWebhook | None = None, rate: float = RATE) -> ASGIApp:
    """`webhook` is None if the bot polls; `rate` is requests a second from one address."""
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
    for topic in (posts, new_posts, posts_stream, users, rules, tags, feeds, health, metrics):
        api.include_router(topic.router)
    if webhook is not None:
        api.include_router(make_router(webhook))
    add_error_handlers(api)
    add_pages(api)
    if backend.authenticator.is_open_to_loopback:
        _document_optional_token(api)

    def is_exempt(scope: Scope) -> bool:
        return scope["path"] in HEALTH_PATHS or (webhook is not None and webhook.is_from_telegram(scope))

    return RequestId(AddressRateLimit(BodyLimit(HeadAsGet(api)), is_exempt, rate))


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
