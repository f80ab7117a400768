"""Crontab lines as crontab(5) means them."""

from __future__ import annotations

import re

from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def cron_trigger(line: str, timezone: str | None = None) -> CronTrigger:
    """A line of five fields → a trigger. APScheduler's own reading counts days of the week from Monday as 0.

    Raises:
        ValueError: not a crontab line.
    """
    fields = line.split()
    if len(fields) == 5:
        # A step (`*/2`) is no day.
        fields[4] = re.sub(r"(?<![/\d])[0-7](?!\d)", lambda day: _DAYS[int(day[0])], fields[4])
    return CronTrigger.from_crontab(" ".join(fields), timezone=timezone)
