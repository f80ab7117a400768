import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

log = structlog.get_logger(__name__)

#: Connections; above it uvicorn answers 503.
CONNECTIONS = 200
#: At a stop requests have STOP_SECONDS to end. Then they are cancelled, and have LAST_SECONDS to send 503.
STOP_SECONDS, LAST_SECONDS = 2, 1


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process handles SIGTERM and SIGINT, and stops its parts in order."""
        yield


@asynccontextmanager
async def serve(
    app: ASGIApp, host: str, port: int, *, connections: int = CONNECTIONS, stop_seconds: int = STOP_SECONDS
) -> AsyncIterator[int]:
    """Serve while the block runs. Yields the port. Raises OSError if the address cannot be used."""
    listener = _listen(host, port)
    host, port = listener.getsockname()[:2]
    server = _Server(_config(app, connections, stop_seconds))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    log.info("http_ready", host=host, port=port)
    try:
        yield port
    finally:
        server.should_exit = True
        await task
        # uvicorn cancels requests without waiting for them, and the caller closes the database next.
        if requests := set(server.server_state.tasks):
            await asyncio.wait(requests, timeout=LAST_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    # uvicorn would end the process if it could not bind the address itself. The protocol is named because asyncio
    # sets TCP_NODELAY only then; without TCP_NODELAY each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: ASGIApp, connections: int, stop_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # Anybody can write X-Forwarded-For: the client is the one that connected.
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        timeout_graceful_shutdown=stop_seconds,
    )
