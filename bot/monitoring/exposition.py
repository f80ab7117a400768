import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import start_http_server

from bot.errors import StartError
from bot.monitoring.metrics import CONTENT_TYPE, Metrics
from services.metrics import MetricsReader
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)


class Exposition:
    """The body of /metrics. While the database is away, only the process's own counters."""

    content_type = CONTENT_TYPE

    def __init__(self, metrics: Metrics, gauges: MetricsReader) -> None:
        self._metrics = metrics
        self._gauges = gauges

    async def scrape(self) -> bytes:
        reading = None
        try:
            reading = await self._gauges.read()
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.info("metrics_without_database", error=type(error).__name__)
        return self._metrics.render(reading)


@asynccontextmanager
async def served_alone(metrics: Metrics, address: str) -> AsyncIterator[None]:
    """Serve a worker's own counters at HOST:PORT, without authentication. Raises StartError for a wrong address."""
    host, port = _host_and_port(address)
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        raise StartError(f"--metrics: {address} cannot be used ({error.strerror}): name another.") from None
    log.info("metrics_ready", host=host, port=server.server_port)
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


def _host_and_port(address: str) -> tuple[str, int]:
    found = re.fullmatch(r"\[?([^\[\]\s]+)\]?:([0-9]{1,5})", address)
    if found is None or int(found[2]) > 65535:
        raise StartError(f"--metrics: {address!r} is not HOST:PORT, as in 127.0.0.1:9101.")
    return found[1], int(found[2])
