"""Which messages of a channel were read, and which of a page a user gets."""

from __future__ import annotations

from datetime import UTC, datetime

from services.following.coverage import Coverage, History, after_gap_page, after_newest_page, first_posts, older_posts
from services.sources.base import Delivery, SourceChannel, SourcePost

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHANNEL = SourceChannel(None, "news", "News")


def page(*numbers: int, is_last: bool = False) -> Delivery:
    posts = [SourcePost(number, f"post {number}", NOW) for number in numbers]
    return Delivery(CHANNEL, posts, min(numbers, default=0), is_last=is_last)


def test_new_posts_that_do_not_fit_on_a_page_leave_a_gap_that_is_read_down_to_what_is_known() -> None:
    coverage = after_newest_page(Coverage(None), page(1, 2, 5))
    assert coverage == Coverage(5)
    coverage = after_newest_page(coverage, page(90, 95, 100))
    assert coverage == Coverage(100, gap_before=90, gap_until=5)
    coverage = after_gap_page(coverage, page(40, 50, 89))
    assert coverage == Coverage(100, gap_before=40, gap_until=5)
    assert after_gap_page(coverage, page(4, 5, 39)) == Coverage(100)
    assert after_gap_page(coverage, page(30, is_last=True)) == Coverage(100)
    assert after_gap_page(coverage, None) == Coverage(100)


def test_a_poll_while_a_gap_is_open_loses_neither() -> None:
    gap = Coverage(100, gap_before=40, gap_until=5)
    assert after_newest_page(gap, page(99, 101)) == Coverage(101, gap_before=40, gap_until=5)
    assert after_newest_page(gap, page(200, 220)) == Coverage(220, gap_before=200, gap_until=5)


def test_nothing_new_leaves_no_gap() -> None:
    assert after_newest_page(Coverage(100), page(81, 100)) == Coverage(100)
    assert after_newest_page(Coverage(100), page(101, 102)) == Coverage(102)
    assert after_newest_page(Coverage(100), page()) == Coverage(100)
    # The newest one known was deleted.
    assert after_newest_page(Coverage(100), page(80, 99)) == Coverage(100)
    assert after_newest_page(Coverage(0), page(3, 4, is_last=True)) == Coverage(4)


def test_of_the_first_page_as_many_are_taken_as_are_wanted() -> None:
    history, taken = first_posts(History(None, wanted=2), page(1, 2, 3, is_last=True))
    assert [post.message_id for post in taken] == [3, 2]
    assert history == History(oldest=2, wanted=0, read=2, at_beginning=False)
    history, taken = first_posts(History(None, wanted=50), page(1, 2, 3, is_last=True))
    assert (len(taken), history) == (3, History(oldest=1, wanted=0, read=3, at_beginning=True))
    history, taken = first_posts(History(None, wanted=50), page(10, 20))
    assert (len(taken), history) == (2, History(oldest=10, wanted=48, read=2))


def test_nothing_is_taken_for_a_user_who_stopped_it() -> None:
    assert first_posts(History(None, wanted=0), page(1, 2, is_last=True)) == (History(3, 0), [])


def test_an_empty_channel_is_at_its_beginning() -> None:
    assert first_posts(History(None, wanted=50), page(is_last=True)) == (History(1, 0, 0, at_beginning=True), [])


def test_further_back_until_enough_or_the_beginning() -> None:
    history, taken = older_posts(History(oldest=10, wanted=3, read=7), page(5, 6, 7, 8, 10))
    assert [post.message_id for post in taken] == [8, 7, 6]
    assert history == History(oldest=6, wanted=0, read=10)
    assert older_posts(history, None) == (History(6, 0, 10, at_beginning=True), [])


def test_pages_without_posts_are_passed_over() -> None:
    """All messages there are service messages."""
    services = Delivery(CHANNEL, [], 30)
    assert first_posts(History(None, wanted=50), services) == (History(30, 50), [])
    assert older_posts(History(oldest=40, wanted=5, read=3), services) == (History(30, 5, 3), [])
    assert older_posts(History(oldest=40, wanted=5), Delivery(CHANNEL, [], 1, is_last=True)) == (
        History(1, 0, 0, True),
        [],
    )
    assert after_gap_page(Coverage(100, gap_before=40, gap_until=5), services) == Coverage(
        100, gap_before=30, gap_until=5
    )
    assert after_newest_page(Coverage(10), services) == Coverage(30, gap_before=30, gap_until=10)


def test_a_gap_is_not_asked_for_again_when_the_server_gives_the_same_page() -> None:
    assert after_gap_page(Coverage(100, gap_before=40, gap_until=5), page(40, 50)) == Coverage(100)


def test_the_same_page_again_is_not_asked_for_for_ever() -> None:
    history, taken = older_posts(History(oldest=10, wanted=30), page(10, 11))
    assert (history.wanted, taken) == (0, [])
