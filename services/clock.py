from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_utc(moment: datetime) -> datetime:
    """A naive time is taken for UTC.

    Raises:
        OverflowError: the moment in UTC is outside of the calendar.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def zone_or(name: str | None, otherwise: ZoneInfo) -> ZoneInfo:
    """The time zone of this name, which the database of this machine may not know."""
    try:
        return ZoneInfo(name) if name else otherwise
    except (ZoneInfoNotFoundError, ValueError):
        return otherwise


def utc_day(now: datetime) -> str:
    """The day to whose quota a request counts, as 2026-01-31."""
    return now.astimezone(UTC).date().isoformat()


def day_ends(now: datetime) -> datetime:
    """The next midnight of UTC, when a daily quota resets."""
    return (now.astimezone(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
