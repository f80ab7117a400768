"""PURE: when a server may be asked again, from its headers and words."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from services.clock import day_ends
from services.llm.server_errors import ServerError

#: No server can stop us for longer.
LATEST = timedelta(days=2)

#: "Please try again in 7m26.4s", "Please retry in 34.07s", "try again in 120ms".
_IN_WORDS = re.compile(
    r"(?:try again|retry|wait)(?: after| in| for)? (?:(\d{1,3})h)?(?:(\d{1,4})m(?!s))?"
    r"(?:(\d{1,6}(?:\.\d{1,9})?) ?(ms|s\b|sec))?"
)


def retry_at(error: ServerError, now: datetime) -> datetime | None:
    """The time that the error names; the day's end for a daily quota without one; else None."""
    reset = error.headers.get("x-ratelimit-reset") if error.code == 429 else None
    until = _at(reset, now) if reset is not None else None
    if until is not None:
        return until
    after = error.headers.get("retry-after") or error.availability.get("retry_after")
    if after is not None:
        return _at(str(after), now)
    if error.code != 429:
        return None
    return day_ends(now) if error.is_daily else _in_words(error.text, now)


def _at(value: str, now: datetime) -> datetime | None:
    """Unix milliseconds, Unix seconds, seconds from now, or an HTTP date → a time before `LATEST`."""
    latest = now + LATEST
    try:
        number = float(value)
    except ValueError:
        moment = _at_http_date(value)
        return min(moment, latest) if moment else None
    if not 0 <= number < 1e14:
        return None
    if number > 1e11:
        number /= 1000
    moment = datetime.fromtimestamp(number, UTC) if number > 1e9 else now + timedelta(seconds=min(number, 2e5))
    return min(moment, latest)


def _at_http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_words(text: str, now: datetime) -> datetime | None:
    found = _IN_WORDS.search(text)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds, unit = found.groups()
    wait = float(seconds or 0) / (1000 if unit == "ms" else 1)
    return now + min(LATEST, timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=wait))
