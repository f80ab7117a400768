"""The HTTP server, in the process's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from bot.web.listener import BACKLOG
from bot.web.protocol import Limits, protocol_with

log = structlog.get_logger(__name__)

#: For requests at a stop. Who is answered by then that it stops (`bot.web.envelope`) has a moment for that.
STOP_SECONDS, LAST_SECONDS = 2, 1


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's: they stop everything in its order."""
        yield


@asynccontextmanager
async def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    limits: Limits | None = None,
    stop_seconds: int = STOP_SECONDS,
) -> AsyncIterator[int]:
    """Serve while the block runs; the value is the port. The listener is closed at the end."""
    server = _Server(_config(app, limits or Limits(), stop_seconds))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await _started(server, task)
        host, port = listener.getsockname()[:2]
        log.info("http_ready", host=host, port=port)
        yield port
    finally:
        server.should_exit = True
        try:
            await task
            await _ended(server)
        finally:
            listener.close()


async def _started(server: _Server, task: asyncio.Task[None]) -> None:
    ready = asyncio.create_task(server.ready.wait())
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ready.cancel()
    if task.done():
        await task
        raise RuntimeError("The HTTP server ended as it started")


async def _ended(server: _Server) -> None:
    # Uvicorn cancels what it does not wait for any longer, and leaves it at that.
    if tasks := server.server_state.tasks:
        await asyncio.wait(set(tasks), timeout=LAST_SECONDS)
    for connection in list(server.server_state.connections):
        connection.transport.abort()


def _config(app: ASGIApp, limits: Limits, stop_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http=protocol_with(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # Who forwards a request says so in headers that anybody can write: the address is the connection's.
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=stop_seconds,
    )
