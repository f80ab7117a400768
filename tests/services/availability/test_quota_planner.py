"""How long posts wait for company, so that a day's quota lasts until its reset."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.availability.quota_planner import (
    LAST_SECONDS,
    WINDOWS,
    Arrivals,
    Waiting,
    expected_posts,
    reserve_of,
    wait_for_company,
)

BATCH, RESERVE, HOUR = 10, 5, 3600.0
QUIET = Arrivals()
#: 300 posts a day, as yesterday, seen at noon: 18 an hour.
BUSY = Arrivals((6, 18, 54), today=90, yesterday_until_now=90, yesterday_from_now=210)
#: The same on a bot's first day.
FIRST_DAY = replace(BUSY, yesterday_until_now=0, yesterday_from_now=0)


def wait(left: int, to_reset: float, arrivals: Arrivals, waiting: Waiting) -> float:
    return wait_for_company(left, to_reset, arrivals, waiting, batch_size=BATCH, reserve=RESERVE)


@pytest.mark.parametrize(
    ("left", "hours", "arrivals", "waiting", "expected"),
    [
        # Plenty is left: at once.
        (50, 24, QUIET, Waiting(1), 0),
        (50, 12, Arrivals((1, 2, 4), today=10), Waiting(1), 0),
        (1000, 12, BUSY, Waiting(1), 0),
        # As many requests as expected posts are plenty.
        (RESERVE + 219, 12, BUSY, Waiting(9), 0),
        # Scarce: 210 posts in 44 requests are 5 each; a lone post waits as long as a request has to last.
        (50, 12, BUSY, Waiting(5), 12 * HOUR / 44),
        (50, 12, BUSY, Waiting(6), 0),
        (50, 12, BUSY, Waiting(1), 12 * HOUR / 44),
        (50, 12, BUSY, Waiting(1, oldest=600), 12 * HOUR / 44 - 600),
        (50, 12, BUSY, Waiting(1, oldest=1200), 0),
        (50, 12, FIRST_DAY, Waiting(1), 12 * HOUR / 44),
        # A full batch goes, also if there is not enough for all.
        (6, 12, BUSY, Waiting(BATCH), 0),
        # Only full batches can take what is expected; the trend may end all the same.
        (30, 12, BUSY, Waiting(9, oldest=1000), 2 * 12 * HOUR / 24 - 1000),
        (30, 12, BUSY, Waiting(9, oldest=5000), 0),
        # Nothing but the reserve is left: until shortly before the reset, when it would be lost.
        (RESERVE, 12, QUIET, Waiting(30), 12 * HOUR - LAST_SECONDS),
        (RESERVE, LAST_SECONDS / HOUR, QUIET, Waiting(1), 0),
        (0, 12, QUIET, Waiting(1), 12 * HOUR),
        (0, 0.001, QUIET, Waiting(1), 3.6),
        # The last request waits for whoever else comes.
        (RESERVE + 1, 1, Arrivals((2, 6, 18), 200, 200, 6), Waiting(1, oldest=5000), HOUR - LAST_SECONDS),
        # Old posts take what fresh ones leave; a retry run takes what full batches of fresh ones leave.
        (50, 12, QUIET, Waiting(backfill=True), 0),
        (50, 12, BUSY, Waiting(backfill=True), 12 * HOUR - LAST_SECONDS),
        (50, 12, BUSY, Waiting(retry_run=True), 0),
        (30, 12, BUSY, Waiting(retry_run=True), 12 * HOUR - LAST_SECONDS),
        (RESERVE, 12, QUIET, Waiting(backfill=True, retry_run=True), 12 * HOUR - LAST_SECONDS),
    ],
)
def test_how_long_a_batch_waits(left: int, hours: float, arrivals: Arrivals, waiting: Waiting, expected: float) -> None:
    assert wait(left, hours * HOUR, arrivals, waiting) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arrivals", "hours", "expected"),
    [
        (QUIET, 12, 0),
        # Today is like yesterday, half of it, and busier.
        (BUSY, 12, 210),
        (replace(BUSY, today=40), 12, 105),
        (replace(BUSY, today=190), 12, 420),
        # More than twice yesterday is not believed.
        (replace(BUSY, today=299), 12, 420),
        # A first day has its rate: of an hour with four posts two may be chance.
        (Arrivals((0, 4, 4), today=4), 12, 24),
        (Arrivals((1, 1, 1), today=1), 12, 0),
    ],
)
def test_how_many_posts_are_expected(arrivals: Arrivals, hours: float, expected: float) -> None:
    assert expected_posts(arrivals, hours * HOUR, deviations=1) == pytest.approx(expected)


@pytest.mark.parametrize(("quota", "reserve"), [(1000, 5), (50, 5), (20, 2), (9, 0)])
def test_the_reserve_is_a_share_of_a_small_quota(quota: int, reserve: int) -> None:
    assert reserve_of(quota) == reserve


numbers = st.integers(0, 3000)
arrivals_ = st.builds(Arrivals, st.tuples(*[numbers] * len(WINDOWS)), numbers, numbers, numbers)
waiting_ = st.builds(
    Waiting,
    fresh=st.integers(0, 30),
    oldest=st.floats(0, 1e6),
    others=st.integers(0, 30),
    retry_run=st.booleans(),
    backfill=st.booleans(),
)
seconds = st.floats(0.001, 24 * HOUR)


@given(st.integers(0, 1000), seconds, arrivals_, waiting_)
def test_a_wait_ends_with_the_day(left: int, to_reset: float, arrivals: Arrivals, waiting: Waiting) -> None:
    assert 0 <= wait(left, to_reset, arrivals, waiting) <= to_reset


@given(st.integers(0, 1000), seconds, arrivals_, waiting_)
def test_more_requests_never_make_a_longer_wait(
    left: int, to_reset: float, arrivals: Arrivals, waiting: Waiting
) -> None:
    assert wait(left + 1, to_reset, arrivals, waiting) <= wait(left, to_reset, arrivals, waiting)


@given(st.integers(0, RESERVE), st.floats(LAST_SECONDS + 0.001, 24 * HOUR), arrivals_, waiting_)
def test_the_reserve_is_for_people(left: int, to_reset: float, arrivals: Arrivals, waiting: Waiting) -> None:
    """Until the last moment, when what is left of it would be lost."""
    assert wait(left, to_reset, arrivals, waiting) > 0


@given(seconds, arrivals_, st.integers(1, 9))
def test_with_requests_for_every_post_none_waits(to_reset: float, arrivals: Arrivals, posts: int) -> None:
    """However long the others of them have waited."""
    enough = RESERVE + posts + int(expected_posts(arrivals, to_reset, deviations=0)) + 1
    assert wait(enough, to_reset, arrivals, Waiting(posts)) == 0
