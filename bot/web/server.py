"""The HTTP server, in the process's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

log = structlog.get_logger(__name__)

STOP_SECONDS = 2
#: Request line and headers together.
LONGEST_HEAD = 16 * 1024
#: Connections that wait to be accepted.
BACKLOG = 512


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's: they stop everything in its order."""
        yield


@asynccontextmanager
async def serve(app: ASGIApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the block runs; the value is the port (of use when 0 was asked for: any that is free).

    Raises:
        OSError: the address is taken or not ours.
    """
    listener, server = _listen(host, port), _Server(_config(app))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        bound: int = listener.getsockname()[1]
        log.info("http_ready", host=host, port=bound)
        yield bound
    finally:
        server.should_exit = True
        await task
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    # Opened here, since uvicorn ends the whole process when it cannot. With the protocol named, without which
    # asyncio leaves TCP_NODELAY off, and each answer waits 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # Who forwards a request says so in headers that anybody can write: the address is the connection's.
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
