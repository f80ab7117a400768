"""PURE: when a channel is looked at again, and which of its messages are taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from random import Random
from statistics import median

from services.sources.base import Delivery, SourcePost

#: Seconds between two looks at a channel, and what these are without jitter when it is not known how often it posts.
SHORTEST, LONGEST, UNKNOWN = 5 * 60.0, 6 * 3600.0, 30 * 60.0
#: Share of a wait by which it varies, so that channels added together are not always read together.
JITTER = 0.1
#: A channel that is silent for longer than usual is looked at less and less often.
SILENCE = 4
#: Seconds after a look that failed: from the first, doubling, to the last; and where there is nothing to be read.
FIRST_BACKOFF, LONGEST_BACKOFF, GONE = 60.0, 3600.0, 6 * 3600.0

#: `Back.wanted`: all that there is.
EVERYTHING = 2**31 - 1


def interval(posted: Sequence[datetime], now: datetime, random: Random) -> float:
    """Seconds until the next look at a channel: half of the usual time between its posts (`posted`: the last ones')."""
    times = sorted(posted)
    if not times:
        return _jittered(LONGEST, random)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    silent = max(0.0, (now - times[-1]).total_seconds())
    usual = median(gaps) if gaps else 2 * UNKNOWN
    return _jittered(min(LONGEST, max(SHORTEST, usual / 2, silent / SILENCE)), random)


def backoff(failures: int, random: Random) -> float:
    """Seconds until the next look after so many (1…) failed ones in a row."""
    return _jittered(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10)), random)


def _jittered(seconds: float, random: Random) -> float:
    varied = seconds * random.uniform(1 - JITTER, 1 + JITTER)
    return min(LONGEST, max(min(seconds, SHORTEST), varied))


def _lowest(delivery: Delivery) -> int:
    """The lowest message of a delivery, of those that are no posts, too; 0: there is none."""
    found = [post.message_id for post in delivery.posts]
    return min([*found, delivery.position] if delivery.position else found, default=0)


def _highest(delivery: Delivery) -> int:
    return max((post.message_id for post in delivery.posts), default=delivery.position)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a channel was read: up to `newest`, but for a gap from `gap_before` (exclusive) down to `gap_until`."""

    newest: int | None
    gap_before: int | None = None
    gap_until: int | None = None


def looked(mark: Mark, delivery: Delivery) -> Mark:
    """The mark after a look at the newest messages: between them and those known before there may be a gap."""
    low, high = _lowest(delivery), _highest(delivery)
    if mark.newest is None:
        return Mark(high)
    newest = max(mark.newest, high)
    if low <= mark.newest + 1 or delivery.is_last:
        return replace(mark, newest=newest)
    until = mark.newest if mark.gap_until is None else min(mark.newest, mark.gap_until)
    return Mark(newest, low, until)


def filled(mark: Mark, delivery: Delivery | None) -> Mark:
    """The mark after a part of the gap was read; None: there was nothing there."""
    low = _lowest(delivery) if delivery is not None else 0
    is_open = mark.gap_before is not None and mark.gap_until is not None and mark.gap_until + 1 < low < mark.gap_before
    if delivery is None or delivery.is_last or not is_open:
        return Mark(mark.newest)
    return replace(mark, gap_before=low)


@dataclass(frozen=True, slots=True)
class Back:
    """How far back a channel was read for a user, and how much further they want it.

    Attributes:
        oldest: the lowest message that was read; None: none yet.
        wanted, read: posts still wanted, and read of this wish.
    """

    oldest: int | None
    wanted: int
    read: int = 0
    at_beginning: bool = False


def first(back: Back, delivery: Delivery) -> tuple[Back, list[SourcePost]]:
    """What a look at the newest messages gives to somebody who has none of the channel yet, of what they want."""
    return _taken(back, list(delivery.posts), delivery)


def further(back: Back, delivery: Delivery | None) -> tuple[Back, list[SourcePost]]:
    """What older messages give; None: there are none."""
    if delivery is None:
        return replace(back, wanted=0, at_beginning=True), []
    older = [post for post in delivery.posts if back.oldest is None or post.message_id < back.oldest]
    if not delivery.is_last and back.oldest is not None and _lowest(delivery) >= back.oldest:
        # A server that gives the same page again must not be asked for it for ever.
        return replace(back, wanted=0), []
    return _taken(back, older, delivery)


def _taken(back: Back, posts: list[SourcePost], delivery: Delivery) -> tuple[Back, list[SourcePost]]:
    newest_first = sorted(posts, key=lambda post: post.message_id, reverse=True)
    taken = newest_first[: back.wanted]
    is_all = len(taken) == len(posts)
    at_beginning = delivery.is_last and is_all
    # Of an empty channel all that comes is wanted.
    oldest = max(1, _lowest(delivery)) if is_all else newest_first[len(taken)].message_id + 1
    wanted = 0 if at_beginning else back.wanted - len(taken)
    return Back(oldest, wanted, back.read + len(taken), at_beginning), taken
