"""The worker process, which only tags. On PostgreSQL any number of them may run beside a bot. Imports no aiogram."""

from contextlib import AsyncExitStack

import structlog

from bot import __version__
from bot.errors import StartError
from bot.monitoring.exposition import served_alone
from bot.monitoring.metrics import Metrics
from bot.runtime.background_tasks import BackgroundTasks
from bot.runtime.database_startup import settings_or_stop
from bot.runtime.engine import OnFinished, open_engine, run_until, set_up_process
from bot.settings import Settings

log = structlog.get_logger(__name__)


async def run_worker(metrics: str | None = None) -> int:
    """Tag until SIGTERM or SIGINT; serve /metrics at `metrics` (HOST:PORT). Returns the exit status."""
    settings = settings_or_stop()
    if not settings.tagging_enabled:
        raise StartError(
            "Tagging is disabled, and a worker does nothing else: put OPENROUTER_API_KEY into .env "
            "(https://openrouter.ai/keys), or OPENROUTER_BASE_URL for a server of your own."
        )
    stopping = set_up_process(settings)
    async with AsyncExitStack() as stack:
        on_finished = None if metrics is None else await _measured(stack, settings, metrics)
        engine = await stack.enter_async_context(open_engine(settings, on_finished))
        tasks = BackgroundTasks()
        engine.start(tasks)
        log.info("started", version=__version__, process="worker")
        status = await run_until(stopping, tasks, engine.database)
    log.info("stopped")
    return status


async def _measured(stack: AsyncExitStack, settings: Settings, address: str) -> OnFinished:
    metrics = Metrics(settings.models, __version__)
    await stack.enter_async_context(served_alone(metrics, address))
    return metrics.finished
