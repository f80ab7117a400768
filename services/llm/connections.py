"""Connections to a provider: kept while in use, but not one on which something came that nobody had asked for."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

import aiohttp
import structlog

if TYPE_CHECKING:
    from aiohttp.client import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

log = structlog.get_logger(__name__)

#: Idle connections are closed before servers do it (the soonest after 2 s), which would cost the next request.
IDLE_SECONDS = 1.5


class QuietConnector(aiohttp.TCPConnector):
    """Keeps connections for the next request, as long as the server sends nothing that it was not asked for.

    What comes late on an idle connection would be taken for the answer to the next request, and give a post the
    tags of another (https://github.com/aio-libs/aiohttp/issues/13656). After the first such thing every request
    gets a connection of its own.
    """

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=IDLE_SECONDS)
        self._keeps = True

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """A quiet connection, from the pool or a new one."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and _is_readable(connection):
                # An end of the connection, or bytes of nobody's: the event loop will tell, when it has had its turn.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            if protocol is None or not protocol.should_close:
                if not self._keeps and protocol is not None:
                    protocol.force_close()
                return connection
            if protocol.is_connected():
                self._distrust()
            connection.close()

    def _distrust(self) -> None:
        if self._keeps:
            log.warning("answer_without_a_request", now="each request gets a connection of its own")
        self._keeps = False


def _is_readable(connection: Connection) -> bool:
    """Whether the kernel holds something that the event loop has not seen."""
    sock = connection.transport.get_extra_info("socket") if connection.transport is not None else None
    if sock is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
