"""All that the process serves over HTTP, from the outermost guard to the handlers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from bot import __version__
from bot.monitoring.exposition import Exposition
from bot.web import feeds, health, intake, metrics, pages, posts, stream, users, webhook
from bot.web.admission import LARGEST_BODY, PATIENCE_SECONDS, RATE, Admission
from bot.web.dependencies import Backend
from bot.web.envelope import Envelope
from bot.web.errors import add_error_handlers

DESCRIPTION = (
    "Tags of Telegram posts: what they are, how far they are, and trying again. Times are ISO 8601 in UTC. "
    "Every error is JSON with a `detail`."
)


def make_web_app(
    backend: Backend,
    watch: health.Watch,
    exposition: Exposition,
    *,
    hook: webhook.Hook | None = None,
    rate: float = RATE,
    patience_seconds: float = PATIENCE_SECONDS,
) -> ASGIApp:
    """The application. `hook`: None when the bot polls; `rate`: requests a second from one address.

    Who would wait for longer than `patience_seconds` is refused.
    """
    api = FastAPI(
        title="Metka",
        version=__version__,
        description=DESCRIPTION,
        # Relative to the document: also behind a reverse proxy's path prefix.
        servers=[{"url": "."}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=LARGEST_BODY,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.state.backend = backend
    api.include_router(posts.router())
    api.include_router(intake.router())
    api.include_router(stream.router())
    api.include_router(users.router())
    api.include_router(feeds.router())
    api.include_router(health.router(watch))
    api.include_router(metrics.router(exposition))
    if hook is not None:
        api.include_router(webhook.router(hook))
    add_error_handlers(api)
    pages.add_pages(api)
    if backend.gate.is_open_to_loopback:
        _say_that_no_token_is_needed(api)
    lets_in = hook.lets_in if hook is not None else None
    return Envelope(Admission(api, rate=rate, lets_in=lets_in, patience_seconds=patience_seconds))


def _say_that_no_token_is_needed(api: FastAPI) -> None:
    """In the OpenAPI document."""
    make = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = make()
            for operation in (each for path in document["paths"].values() for each in path.values()):
                if "security" in operation:
                    operation["security"] = [{}, *operation["security"]]
        return api.openapi_schema or {}

    api.openapi = openapi  # type: ignore[method-assign]
