"""Time, as an argument: services are given a clock, tests their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def to_utc(moment: datetime) -> datetime:
    """The same moment in UTC; without an offset it is UTC's already.

    Raises:
        OverflowError: no date of the calendar's.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def utc_day(now: datetime) -> str:
    """The day whose quota a request counts against: UTC's, as 2026-01-31."""
    return now.astimezone(UTC).date().isoformat()


def day_ends(now: datetime) -> datetime:
    """The next midnight of UTC, when the day's quota is new."""
    return (now.astimezone(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
