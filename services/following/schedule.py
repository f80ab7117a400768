"""PURE: when a channel is polled again."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from random import Random
from statistics import median

#: Seconds between two polls of a channel; DEFAULT without jitter, when its posting rate is unknown.
SHORTEST, LONGEST, DEFAULT = 5 * 60.0, 6 * 3600.0, 30 * 60.0
#: Share of an interval by which it varies, so that channels added together drift apart.
JITTER = 0.1
#: A silent channel is polled after this share of its silence: less and less often.
SILENCE_SHARE = 1 / 4
#: Seconds after a failed poll: from the first, doubling, to the longest; and for a channel that is gone.
FIRST_BACKOFF, LONGEST_BACKOFF, GONE = 60.0, 3600.0, 6 * 3600.0


def interval(posted: Sequence[datetime], now: datetime, random: Random) -> float:
    """Seconds until the next poll: half of the usual time between posts (`posted`: times of the newest ones)."""
    times = sorted(posted)
    if not times:
        return _jittered(LONGEST, random)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    silent = max(0.0, (now - times[-1]).total_seconds())
    usual = median(gaps) if gaps else 2 * DEFAULT
    return _jittered(min(LONGEST, max(SHORTEST, usual / 2, silent * SILENCE_SHARE)), random)


def backoff(failures: int, random: Random) -> float:
    """Seconds until the next poll after this many failures (1…) in a row."""
    return _jittered(min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10)), random)


def _jittered(seconds: float, random: Random) -> float:
    varied = seconds * random.uniform(1 - JITTER, 1 + JITTER)
    return min(LONGEST, max(min(seconds, SHORTEST), varied))
