"""PURE: how long the next batch waits for company, so that a day's quota of requests lasts until its reset.

With requests for every post that is expected until the reset, each post goes at once. With fewer, posts are gathered
into as many batches as there are requests. A full batch never waits: nothing more could join it.
"""

import math
from dataclasses import dataclass

#: Requests of a day's quota that only posts asked for may use: at most RESERVE, and this share of a small quota.
RESERVE, RESERVE_SHARE = 5, 0.1
#: The last requests of a day are left for the posts of its last hour, …
LAST_REQUESTS = 2
#: … and whatever still waits goes this long before the reset.
LAST_SECONDS = 30.0
#: A batch that is not full goes only if the rest could take so many times the posts that are expected.
ROOM = 1.2
#: Some requests fail and are made again.
SPARE = 1.1
#: What is expected by the rate of a short while is less by so many standard deviations: two posts are no trend.
DEVIATIONS = 1.75
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

    `fresh`, retries included, may end at the batch size; `oldest`: seconds that the oldest of them waits.
    """

    fresh: int = 0
    oldest: float = 0.0
    retry_run: bool = False
    backfill: bool = False


def reserve_of(quota: int) -> int:
    return min(RESERVE, int(quota * RESERVE_SHARE))


def expected_posts(arrivals: Arrivals, to_reset: float) -> float:
    """Posts that will come in the `to_reset` seconds until the reset.

    The day before tells them, as far as today was like it. A day that is busier has only its own last hours to go by.
    """
    likeness = (arrivals.today + TELLING_POSTS) / (arrivals.yesterday_until_now + TELLING_POSTS)
    like_yesterday = arrivals.yesterday_from_now * min(MOST_LIKE_YESTERDAY, likeness)
    if arrivals.yesterday_until_now + arrivals.yesterday_from_now > arrivals.today:
        return like_yesterday
    rates = (
        max(0.0, posts - DEVIATIONS * math.sqrt(posts)) / seconds
        for posts, seconds in zip(arrivals.lately, WINDOWS, strict=True)
    )
    return max(like_yesterday, max(rates) * to_reset)


def wait_for_company(
    left: int, to_reset: float, arrivals: Arrivals, waiting: Waiting, *, batch_size: int, reserve: int
) -> float:
    """Seconds until the next batch of posts that nobody asked for goes, if no other post comes before.

    `left`: requests of the quota, the reserve included; `to_reset`: seconds.
    """
    usable, expected = left - reserve, expected_posts(arrivals, to_reset)
    if usable <= 0:
        return to_reset
    if to_reset <= LAST_SECONDS or waiting.fresh >= batch_size:
        return 0.0
    posts, last = expected + waiting.fresh, to_reset - LAST_SECONDS
    if waiting.backfill and usable > posts:
        # Fresh posts need not wait because of the old ones.
        return 0.0
    if waiting.retry_run and _have_room(usable, posts, batch_size):
        return 0.0
    if not waiting.fresh:
        return last
    return min(last, _wait_of_fresh(usable, expected, to_reset, waiting, batch_size))


def _wait_of_fresh(usable: int, expected: float, to_reset: float, waiting: Waiting, batch_size: int) -> float:
    """As `wait_for_company`, of fresh posts that do not fill a batch."""
    posts, to_spend = expected + waiting.fresh, usable - LAST_REQUESTS
    if usable >= posts:
        return 0.0
    if to_spend > 0 and waiting.fresh >= SPARE * posts / to_spend:
        return 0.0
    if to_spend <= 0 or not _have_room(usable, expected, batch_size):
        return to_reset
    return max(0.0, to_reset / to_spend - waiting.oldest)


def _have_room(usable: int, posts: float, batch_size: int) -> bool:
    """Whether the requests that are left after one more can take the posts in full batches."""
    return (usable - 1) * batch_size >= ROOM * posts
