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


def numbers(delivery: Delivery) -> range:
    """From the lowest to the highest message of a delivery; empty for none."""
    found = [post.message_id for post in delivery.posts]
    return range(min(found), max(found) + 1) if found else range(0)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a channel was read: up to `newest`, but for a gap from `gap_before` (exclusive) down to `gap_until`."""

    newest: int | None
    gap_before: int | None = None
    gap_until: int | None = None


def looked(mark: Mark, delivery: Delivery) -> Mark:
    """The mark after a look at the newest messages: between them and those known before there may be a gap."""
    here = numbers(delivery)
    if not here:
        return mark if mark.newest is not None else Mark(0)
    if mark.newest is None:
        return Mark(here[-1])
    newest = max(mark.newest, here[-1])
    until = mark.newest if mark.gap_until is None else min(mark.newest, mark.gap_until)
    is_joined = mark.gap_before is None and (here[0] <= mark.newest + 1 or delivery.is_last)
    if is_joined:
        return Mark(newest)
    if mark.gap_before is not None and here[0] <= mark.newest + 1:
        return replace(mark, newest=newest)
    return Mark(newest, here[0], until)


def filled(mark: Mark, delivery: Delivery | None) -> Mark:
    """The mark after a part of the gap was read; None: there was nothing there."""
    here = numbers(delivery) if delivery is not None else range(0)
    if delivery is None or delivery.is_last or not here or mark.gap_until is None or here[0] <= mark.gap_until + 1:
        return Mark(mark.newest)
    return replace(mark, gap_before=here[0])


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
    if not delivery.posts:
        return replace(back, oldest=1, wanted=0, at_beginning=True), []
    return _taken(back, list(delivery.posts), delivery.is_last)


def further(back: Back, delivery: Delivery | None) -> tuple[Back, list[SourcePost]]:
    """What older messages give; None: there are none."""
    if delivery is None:
        return replace(back, wanted=0, at_beginning=True), []
    older = [post for post in delivery.posts if back.oldest is None or post.message_id < back.oldest]
    if not older:
        # A server that gives the same page again must not be asked for it for ever.
        return replace(back, wanted=0, at_beginning=delivery.is_last), []
    return _taken(back, older, delivery.is_last)


def _taken(back: Back, posts: list[SourcePost], is_last: bool) -> tuple[Back, list[SourcePost]]:
    newest_first = sorted(posts, key=lambda post: post.message_id, reverse=True)
    taken = newest_first[: back.wanted]
    at_beginning = is_last and len(taken) == len(posts)
    oldest = taken[-1].message_id if taken else newest_first[0].message_id + 1
    wanted = 0 if at_beginning else back.wanted - len(taken)
    return Back(oldest, wanted, back.read + len(taken), at_beginning), taken
