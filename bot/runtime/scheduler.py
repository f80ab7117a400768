"""APScheduler's jobs. A tick only wakes the worker: the queue is in the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot.settings import crontab_trigger
from services.library.digests import Digests
from services.notifications.provider_alerts import AlertWatch
from services.tagging.service import TaggingService
from storage.db.engine import is_unavailable, unavailable_reason

log = structlog.get_logger(__name__)

MOST_WATCH_SECONDS = 60.0


def make_scheduler(
    tagging: TaggingService,
    alerts: AlertWatch,
    digests: Digests,
    wake: Callable[[], None],
    on_news: Callable[[], None],
    *,
    interval_seconds: float,
    cron: str,
    cron_limit: int,
    timezone: str,
) -> AsyncIOScheduler:
    """The tick, the check of the alerts, digests, the daily retry (unless `cron` is empty), the daily clean-up."""

    async def tick() -> None:
        wake()

    async def check_alerts() -> None:
        if await alerts.check():
            on_news()

    async def queue_digests() -> None:
        if await digests.queue_due():
            on_news()

    async def clean_up() -> None:
        await tagging.clean_up()

    nightly = _guarded("retry_nightly", lambda: tagging.retry_nightly(cron_limit))
    # After the machine slept a job runs once, late. Two runs of a job never overlap.
    scheduler = AsyncIOScheduler(
        timezone=timezone, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    scheduler.add_job(tick, IntervalTrigger(seconds=interval_seconds), id="tick")
    often = IntervalTrigger(seconds=min(MOST_WATCH_SECONDS, interval_seconds))
    scheduler.add_job(_guarded("watch", check_alerts), often, id="watch")
    # The offsets of time zones are multiples of a quarter of an hour.
    every_5_minutes = CronTrigger(minute="*/5", timezone=timezone)
    scheduler.add_job(_guarded("digests", queue_digests), every_5_minutes, id="digests")
    if cron:
        scheduler.add_job(nightly, crontab_trigger(cron, timezone), id="retry_failed")
    at_night = CronTrigger(hour=3, minute=17, timezone=timezone)
    scheduler.add_job(_guarded("clean_up", clean_up), at_night, id="clean_up")
    return scheduler


def _guarded(name: str, call: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
    """The job `call`, whose errors are logged; the next run does the work."""

    async def run() -> None:
        try:
            await call()
        except asyncio.CancelledError:
            # The scheduler shuts down: the transaction is rolled back.
            log.info("job_broken_off", job=name)
        except Exception as error:
            if not is_unavailable(error):
                log.exception("job_failed", job=name)
                return
            log.warning("job_postponed", job=name, error=unavailable_reason(error))

    return run
