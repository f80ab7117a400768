"""The HTTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)


async def _healthz(_request: web.Request) -> web.Response:
    """Liveness: the event loop answers."""
    return web.json_response({"status": "ok"})


def make_web_app() -> web.Application:
    """All paths that the process serves."""
    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/healthz", _healthz)
    return app


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[None]:
    """Serve while the block runs.

    Raises:
        OSError: the address is taken or not ours.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        log.info("http_ready", host=host, port=port)
        yield
    finally:
        await runner.cleanup()
