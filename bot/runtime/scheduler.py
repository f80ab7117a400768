"""APScheduler's jobs. A tick only wakes the worker: the queue is in the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot.settings import crontab_trigger
from services.notifications.provider_alerts import AlertWatch
from services.tagging.service import TaggingService
from storage.db.engine import is_unavailable, unavailable_reason

log = structlog.get_logger(__name__)

MOST_WATCH_SECONDS = 60.0


def make_scheduler(
    tagging: TaggingService,
    alerts: AlertWatch,
    wake: Callable[[], None],
    on_news: Callable[[], None],
    *,
    interval_seconds: float,
    cron: str,
    cron_limit: int,
    timezone: str,
) -> AsyncIOScheduler:
    """The tick, the check of the alerts, the daily retry (unless `cron` is empty), and the daily clean-up."""

    async def tick() -> None:
        wake()

    async def check_alerts() -> None:
        if await alerts.check():
            on_news()

    async def watch() -> None:
        await _guarded("watch", check_alerts)

    async def nightly() -> None:
        await _guarded("retry_nightly", lambda: tagging.retry_nightly(cron_limit))

    async def clean_up() -> None:
        await _guarded("clean_up", tagging.clean_up)

    # After the machine slept a job runs once, late. Two runs of a job never overlap.
    scheduler = AsyncIOScheduler(
        timezone=timezone, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    scheduler.add_job(tick, IntervalTrigger(seconds=interval_seconds), id="tick")
    scheduler.add_job(watch, IntervalTrigger(seconds=min(MOST_WATCH_SECONDS, interval_seconds)), id="watch")
    if cron:
        scheduler.add_job(nightly, crontab_trigger(cron, timezone), id="retry_failed")
    scheduler.add_job(clean_up, CronTrigger(hour=3, minute=17, timezone=timezone), id="clean_up")
    return scheduler


async def _guarded(name: str, call: Callable[[], Awaitable[Any]]) -> None:
    try:
        await call()
    except asyncio.CancelledError:
        # The scheduler shuts down: the transaction is rolled back, and the next run does the work.
        log.info("job_broken_off", job=name)
    except Exception as error:
        if not is_unavailable(error):
            log.exception("job_failed", job=name)
            return
        log.warning("job_postponed", job=name, error=unavailable_reason(error))
