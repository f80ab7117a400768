"""PURE: when a person may be told, in their time zone."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


def quiet_until(now: datetime, zone: ZoneInfo, start: int | None, end: int | None) -> datetime | None:
    """The end of the quiet hours that `now` is in; None outside of them."""
    if start is None or end is None or start == end:
        return None
    local = now.astimezone(zone)
    is_quiet = start <= local.hour < end if start < end else local.hour >= start or local.hour < end
    return next_hour(now, zone, end) if is_quiet else None


def next_hour(now: datetime, zone: ZoneInfo, hour: int) -> datetime:
    """The next time after `now` at which it is `hour`:00 in the zone."""
    local = now.astimezone(zone)
    at = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return (at if at > local else at + timedelta(days=1)).astimezone(now.tzinfo)
