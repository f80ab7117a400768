import math
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from yarl import URL

from services.clock import to_utc
from services.sources.base import SourceError, SourceGoneError, SourceUnavailableError

MAX_WAIT_SECONDS = 3600.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Hosts of Telegram's own preview: a mirror may redirect to them as t.me does.
TELEGRAM_HOSTS = frozenset({"t.me", "telegram.me", "telegram.dog"})

_PREVIEW_PATH = re.compile(r"/s/([A-Za-z0-9_]{1,64})/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Renamed:
    name: str


def redirected(base: URL, asked: URL, location: str) -> Renamed | SourceError:
    """What a redirect means; only a channel's name is taken from it, never a host to ask."""
    try:
        target = asked.join(URL(location)) if location else None
        known = target is not None and (target.host == base.host or target.host in TELEGRAM_HOSTS)
    except ValueError:
        target, known = None, False
    if target is None or not known:
        return SourceUnavailableError("the server sends to another one, which is not asked", of_this_name=True)
    preview = _PREVIEW_PATH.fullmatch(target.path.removeprefix(base.path.rstrip("/")))
    return Renamed(preview[1]) if preview else SourceGoneError("there is no preview under this name")


def refused(status: int, retry_after: str | None, now: datetime) -> SourceError:
    if status in {404, 410}:
        return SourceGoneError(f"the server answers {status}")
    wait, of_this_name = seconds_to_wait(retry_after, now), status < 500 and status != 429
    return SourceUnavailableError(f"the server answers {status}", wait, of_this_name=of_this_name)


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After (seconds or a date), MAX_WAIT_SECONDS at most; None if it says nothing."""
    written = (retry_after or "").strip()
    try:
        wait = float(written)
    except ValueError:
        try:
            wait = (to_utc(parsedate_to_datetime(written)) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if math.isnan(wait) else min(max(wait, 0.0), MAX_WAIT_SECONDS)
