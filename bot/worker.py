"""The process that only tags: any number of them beside a bot, on PostgreSQL. Knows no aiogram."""

from __future__ import annotations

import structlog

from bot import __version__
from bot.engine import open_engine, run_until, set_up_process
from bot.errors import StartError
from bot.loops import Loops
from bot.opening import settings_or_stop

log = structlog.get_logger(__name__)


async def run_worker() -> int:
    """Tag until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        StartError: a setting is wrong, or something that is needed is not there.
    """
    settings = settings_or_stop()
    if not settings.tagging_enabled:
        raise StartError(
            "Tagging is disabled, and a worker does nothing else: put OPENROUTER_API_KEY into .env "
            "(https://openrouter.ai/keys), or OPENROUTER_BASE_URL for a server of your own."
        )
    stopping = set_up_process(settings)
    async with open_engine(settings, on_news=_told_by_the_leader) as engine:
        loops = Loops()
        engine.start(loops)
        log.info("started", version=__version__, process="worker")
        await run_until(stopping, loops)
    log.info("stopped")
    return 0


def _told_by_the_leader() -> None:
    """What people are to be told is in the outbox, where the leader looks every 2 s."""
