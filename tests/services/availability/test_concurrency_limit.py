"""How many requests are in flight after an outage, and while the server is too slow for them."""

from __future__ import annotations

from services.availability.concurrency_limit import ConcurrencyLimit

MOST = 16


def test_a_start_is_no_slow_start() -> None:
    """All places may fill at once."""
    assert ConcurrencyLimit(MOST).room(0) == MOST


def test_after_an_outage_each_answer_lets_one_more_start() -> None:
    limit = ConcurrencyLimit(MOST)
    limit.restart()
    rooms = []
    for _ in range(6):
        rooms.append(limit.room(0))
        limit.learn(answered=limit.room(0), timed_out=0)
    assert rooms == [1, 2, 4, 8, 16, 16]


def test_timeouts_beside_answers_lower_the_limit_by_half_at_most() -> None:
    limit = ConcurrencyLimit(MOST)
    limit.learn(answered=4, timed_out=12)
    assert limit.room(0) == MOST // 2


def test_timeouts_of_one_outage_count_once() -> None:
    """Without an answer between them they say nothing new."""
    limit = ConcurrencyLimit(MOST)
    limit.learn(answered=0, timed_out=5)
    assert limit.room(0) == MOST
    limit.learn(answered=1, timed_out=5)
    limit.learn(answered=0, timed_out=5)
    assert limit.room(0) == MOST // 2


def test_it_recovers_slowly_to_all() -> None:
    """Also over an outage: the server is as slow afterwards."""
    limit = ConcurrencyLimit(MOST)
    limit.learn(answered=1, timed_out=5)
    limit.restart()
    limit.learn(answered=MOST, timed_out=0)
    assert MOST // 2 <= limit.room(0) < MOST
    limit.learn(answered=50, timed_out=0)
    assert limit.room(0) == MOST


def test_rare_timeouts_change_little() -> None:
    """One in fifty: a model's own."""
    limit = ConcurrencyLimit(MOST)
    rooms = []
    for _ in range(20):
        limit.learn(answered=49, timed_out=1)
        limit.learn(answered=24, timed_out=0)
        rooms.append(limit.room(0))
    assert min(rooms) == MOST
