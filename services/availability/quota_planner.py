"""PURE: how long the next batch waits for company, so that a day's quota of requests lasts until its reset.

With requests for every post that is expected until the reset, each post goes at once. With fewer, posts are gathered
into as many batches as there are requests. A full batch never waits: nothing more could join it.
"""

import math
from dataclasses import dataclass

#: Requests of a day's quota that only posts asked for may use: at most RESERVE, and this share of a small quota.
RESERVE, RESERVE_SHARE = 5, 0.1
#: So long before the reset everything goes that still waits: requests that are left then are lost.
LAST_SECONDS = 30.0
#: A day's last request before that is left for a full batch.
LAST_REQUESTS = 1
#: A batch that is not full goes only if the rest could take so many times the posts that are expected.
ROOM = 1.4
#: A batch waits so many times its share of the day at most.
PATIENCE = 2
#: Some requests fail and are made again.
SPARE = 1.1
#: Standard deviations by which a rate may be chance: posts are gathered when it is a trend, by the likely rate.
TREND, LIKELY = 1.75, 1.0
#: So many posts of a day say whether it is like the day before.
TELLING_POSTS = 10
MOST_LIKE_YESTERDAY = 2.0
WINDOWS = (20 * 60, 60 * 60, 3 * 60 * 60)
DAY = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Arrivals:
    """New posts: in the last WINDOWS, since the day's reset, and on the day before until and after this time of day."""

    lately: tuple[int, ...] = (0, 0, 0)
    today: int = 0
    yesterday_until_now: int = 0
    yesterday_from_now: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Due posts that nobody asked for.

    `fresh`: fresh posts and retries that can share the next request; `oldest`: seconds that the oldest of them waits;
    `others`: those that cannot.
    """

    fresh: int = 0
    oldest: float = 0.0
    others: int = 0
    retry_run: bool = False
    backfill: bool = False


def reserve_of(quota: int) -> int:
    return min(RESERVE, int(quota * RESERVE_SHARE))


def expected_posts(arrivals: Arrivals, to_reset: float, deviations: float) -> float:
    """Posts that will come in the `to_reset` seconds until the reset.

    The day before tells them, as far as today was like it. A busier day has only its own rate to go by, from which
    `deviations` are taken.
    """
    likeness = (arrivals.today + TELLING_POSTS) / (arrivals.yesterday_until_now + TELLING_POSTS)
    like_yesterday = arrivals.yesterday_from_now * min(MOST_LIKE_YESTERDAY, likeness)
    if arrivals.yesterday_until_now + arrivals.yesterday_from_now > arrivals.today:
        return like_yesterday
    rates = (
        max(0.0, posts - deviations * math.sqrt(posts)) / seconds
        for posts, seconds in zip(arrivals.lately, WINDOWS, strict=True)
    )
    return max(like_yesterday, max(rates) * to_reset)


def wait_for_company(
    left: int, to_reset: float, arrivals: Arrivals, waiting: Waiting, *, batch_size: int, reserve: int
) -> float:
    """Seconds until the next batch of posts that nobody asked for goes, if no other post comes before.

    `left`: requests of the quota, the reserve included; `to_reset`: seconds.
    """
    if to_reset <= LAST_SECONDS:
        return 0.0 if left > 0 else to_reset
    usable, last = left - reserve, to_reset - LAST_SECONDS
    if usable <= 0:
        return last if left > 0 else to_reset
    if waiting.fresh >= batch_size:
        return 0.0
    posts = waiting.fresh + waiting.others + expected_posts(arrivals, to_reset, TREND)
    # Fresh posts need not wait because of old ones that go now.
    if (waiting.backfill and usable > posts) or (waiting.retry_run and _have_room(usable, posts, batch_size)):
        return 0.0
    if not waiting.fresh:
        return last
    return 0.0 if usable >= posts else min(last, _wait_of_scarce(usable, to_reset, arrivals, waiting, batch_size))


def _wait_of_scarce(usable: int, to_reset: float, arrivals: Arrivals, waiting: Waiting, batch_size: int) -> float:
    """As `wait_for_company`, of fresh posts that do not fill a batch, with fewer requests than posts."""
    expected = waiting.others + expected_posts(arrivals, to_reset, LIKELY)
    to_spend = usable - LAST_REQUESTS
    if to_spend <= 0:
        return to_reset
    if waiting.fresh >= SPARE * (expected + waiting.fresh) / to_spend:
        return 0.0
    # With less room than that, only full batches last; yet a trend may end, and nobody is to wait for the reset.
    patience = 1 if _have_room(usable, expected, batch_size) else PATIENCE
    return max(0.0, patience * to_reset / to_spend - waiting.oldest)


def _have_room(usable: int, posts: float, batch_size: int) -> bool:
    """Whether the requests that are left after one more can take the posts in full batches."""
    return (usable - 1) * batch_size >= ROOM * posts
