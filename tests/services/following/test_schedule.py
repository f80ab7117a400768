"""When a channel is polled again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.following import schedule
from services.following.schedule import interval

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Middle(Random):
    """No jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def every(minutes: float, count: int = 20) -> list[datetime]:
    return [NOW - timedelta(minutes=minutes * index) for index in range(count)]


@pytest.mark.parametrize(
    ("posted", "seconds"),
    [
        (every(1), 300),
        (every(60), 1800),
        (every(24 * 60), 6 * 3600),
        ([], 6 * 3600),
        ([NOW], 1800),
        # Usually one a minute, and silent for eight hours.
        ([moment - timedelta(hours=8) for moment in every(1)], 2 * 3600),
        # The server's clock is ahead.
        ([moment + timedelta(days=1) for moment in every(60)], 1800),
    ],
)
def test_a_channel_is_polled_twice_as_often_as_it_posts(posted: list[datetime], seconds: float) -> None:
    assert interval(posted, NOW, Middle()) == pytest.approx(seconds)


@given(st.lists(st.integers(0, 10**7), max_size=25), st.randoms(use_true_random=False))
def test_an_interval_is_between_five_minutes_and_six_hours(ages: list[int], random: Random) -> None:
    posted = [NOW - timedelta(seconds=age) for age in ages]
    assert 5 * 60 <= interval(posted, NOW, random) <= 6 * 3600


def test_channels_added_together_drift_apart() -> None:
    random = Random(1)
    assert len({interval(every(60), NOW, random) for _ in range(10)}) == 10


def test_a_failed_poll_is_repeated_later_and_later() -> None:
    waits = [schedule.backoff(failures, Middle()) for failures in (1, 2, 3, 7, 100)]
    assert waits == [60, 120, 240, 3600, 3600]
