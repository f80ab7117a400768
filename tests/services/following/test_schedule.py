"""When a channel is looked at again, and which of its messages are taken: no I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.following import schedule
from services.following.schedule import Back, Mark, filled, first, further, interval, looked
from services.sources.base import Delivery, SourceChannel, SourcePost

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHANNEL = SourceChannel(None, "news", "News")


class Middle(Random):
    """No jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def page(*numbers: int, is_last: bool = False) -> Delivery:
    posts = [SourcePost(number, f"post {number}", NOW) for number in numbers]
    return Delivery(CHANNEL, posts, min(numbers, default=0), is_last=is_last)


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
        # A clock of the server's that is ahead of ours.
        ([moment + timedelta(days=1) for moment in every(60)], 1800),
    ],
)
def test_a_channel_is_looked_at_twice_as_often_as_it_posts(posted: list[datetime], seconds: float) -> None:
    assert interval(posted, NOW, Middle()) == pytest.approx(seconds)


@given(st.lists(st.integers(0, 10**7), max_size=25), st.randoms(use_true_random=False))
def test_an_interval_is_between_five_minutes_and_six_hours(ages: list[int], random: Random) -> None:
    posted = [NOW - timedelta(seconds=age) for age in ages]
    assert 5 * 60 <= interval(posted, NOW, random) <= 6 * 3600


def test_channels_added_together_drift_apart() -> None:
    random = Random(1)
    assert len({interval(every(60), NOW, random) for _ in range(10)}) == 10


def test_a_failed_look_is_repeated_later_and_later() -> None:
    waits = [schedule.backoff(failures, Middle()) for failures in (1, 2, 3, 7, 100)]
    assert waits == [60, 120, 240, 3600, 3600]


def test_new_posts_that_do_not_fit_on_a_page_leave_a_gap_that_is_read_down_to_what_is_known() -> None:
    mark = looked(Mark(None), page(1, 2, 5))
    assert mark == Mark(5)
    mark = looked(mark, page(90, 95, 100))
    assert mark == Mark(100, gap_before=90, gap_until=5)
    mark = filled(mark, page(40, 50, 89))
    assert mark == Mark(100, gap_before=40, gap_until=5)
    assert filled(mark, page(4, 5, 39)) == Mark(100)
    assert filled(mark, page(30, is_last=True)) == Mark(100)
    assert filled(mark, None) == Mark(100)


def test_a_look_while_a_gap_is_open_loses_neither() -> None:
    gap = Mark(100, gap_before=40, gap_until=5)
    assert looked(gap, page(99, 101)) == Mark(101, gap_before=40, gap_until=5)
    assert looked(gap, page(200, 220)) == Mark(220, gap_before=200, gap_until=5)


def test_nothing_new_leaves_no_gap() -> None:
    assert looked(Mark(100), page(81, 100)) == Mark(100)
    assert looked(Mark(100), page(101, 102)) == Mark(102)
    assert looked(Mark(100), page()) == Mark(100)
    # The newest one known was deleted.
    assert looked(Mark(100), page(80, 99)) == Mark(100)
    assert looked(Mark(0), page(3, 4, is_last=True)) == Mark(4)


def test_of_the_first_page_as_many_are_taken_as_are_wanted() -> None:
    back, taken = first(Back(None, wanted=2), page(1, 2, 3, is_last=True))
    assert [post.message_id for post in taken] == [3, 2]
    assert back == Back(oldest=2, wanted=0, read=2, at_beginning=False)
    back, taken = first(Back(None, wanted=50), page(1, 2, 3, is_last=True))
    assert (len(taken), back) == (3, Back(oldest=1, wanted=0, read=3, at_beginning=True))
    back, taken = first(Back(None, wanted=50), page(10, 20))
    assert (len(taken), back) == (2, Back(oldest=10, wanted=48, read=2))


def test_nothing_is_taken_for_who_has_stopped_it() -> None:
    assert first(Back(None, wanted=0), page(1, 2, is_last=True)) == (Back(3, 0), [])


def test_an_empty_channel_is_at_its_beginning() -> None:
    assert first(Back(None, wanted=50), page(is_last=True)) == (Back(1, 0, 0, at_beginning=True), [])


def test_further_back_until_enough_or_the_beginning() -> None:
    back, taken = further(Back(oldest=10, wanted=3, read=7), page(5, 6, 7, 8, 10))
    assert [post.message_id for post in taken] == [8, 7, 6]
    assert back == Back(oldest=6, wanted=0, read=10)
    assert further(back, None) == (Back(6, 0, 10, at_beginning=True), [])


def test_pages_without_posts_are_passed_over() -> None:
    """The channel's messages there are all of other kinds: a change of its name, say."""
    services = Delivery(CHANNEL, [], 30)
    assert first(Back(None, wanted=50), services) == (Back(30, 50), [])
    assert further(Back(oldest=40, wanted=5, read=3), services) == (Back(30, 5, 3), [])
    assert further(Back(oldest=40, wanted=5), Delivery(CHANNEL, [], 1, is_last=True)) == (Back(1, 0, 0, True), [])
    assert filled(Mark(100, gap_before=40, gap_until=5), services) == Mark(100, gap_before=30, gap_until=5)
    assert looked(Mark(10), services) == Mark(30, gap_before=30, gap_until=10)


def test_a_gap_is_not_asked_for_again_when_the_server_gives_the_same_page() -> None:
    assert filled(Mark(100, gap_before=40, gap_until=5), page(40, 50)) == Mark(100)


def test_the_same_page_again_is_not_asked_for_for_ever() -> None:
    back, taken = further(Back(oldest=10, wanted=30), page(10, 11))
    assert (back.wanted, taken) == (0, [])
