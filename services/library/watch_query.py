"""PURE: whether a post matches a watch, and when its message may go out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.library.search_words import SearchQuery, read_query
from services.notifications.timing import next_hour
from services.tags.keys import tag_key

DAILY_HOUR = 9


class WatchEvery(StrEnum):
    NOW = "now"
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class WatchQuery:
    """`tags`, `without_tags`: keys. `rest`: words and channels."""

    tags: frozenset[str]
    without_tags: frozenset[str]
    rest: SearchQuery

    @property
    def keys(self) -> frozenset[str]:
        return self.tags | self.without_tags

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing that a post must have."""
        return not (self.tags or self.rest.words or self.rest.channels)


def read_watch(text: str) -> WatchQuery:
    """The language of /find. Raises SinceError."""
    tags: dict[bool, set[str]] = {True: set(), False: set()}
    rest: list[str] = []
    for part in text.split():
        bare = part.lstrip("-")
        if bare.startswith("#") and bare.strip("#"):
            key = tag_key(bare.lstrip("#").rstrip(".,;:!?"))
            tags[not part.startswith("-")].update({key} if key else ())
        else:
            rest.append(part)
    return WatchQuery(frozenset(tags[True]), frozenset(tags[False]), read_query(" ".join(rest)))


def matches(query: WatchQuery, numbers: Iterable[int], keys: Iterable[str], channel: str) -> bool:
    """`numbers`: what the post is found by; `keys`: of its tags; `channel`: the channel's public name."""
    words, tags, name = set(numbers), set(keys), channel.lstrip("@").lower()
    if not (query.tags <= tags and query.rest.words <= words):
        return False
    if query.without_tags & tags or query.rest.without & words or name in query.rest.without_channels:
        return False
    return not query.rest.channels or name in query.rest.channels


def next_time(every: WatchEvery, now: datetime, zone: ZoneInfo) -> datetime:
    """When the message after this one may go out: at the full hour, or at DAILY_HOUR."""
    match every:
        case WatchEvery.NOW:
            return now
        case WatchEvery.HOURLY:
            return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        case WatchEvery.DAILY:
            return next_hour(now, zone, DAILY_HOUR)
