"""How many requests are in flight after an outage, and while the server is too slow for them."""

from __future__ import annotations

from heapq import heappop, heappush

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


def test_an_outage_of_timeouts_is_followed_by_a_slow_start_to_all() -> None:
    """Without an answer between them timeouts say nothing of how many requests the server takes."""
    limit = ConcurrencyLimit(MOST)
    for _ in range(9):
        limit.learn(answered=0, timed_out=5)
    assert limit.room(0) == 1
    for _ in range(4):
        limit.learn(answered=limit.room(0), timed_out=0)
    assert limit.room(0) == MOST


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


def test_a_server_that_answers_one_request_after_another_is_not_flooded() -> None:
    """It takes 1.5 s for each, also for those that timed out after 6 s: 100 posts cost 150 requests at most."""
    limit, now, free_at, sent, tagged = ConcurrencyLimit(10), 0.0, 0.0, 0, 0
    in_flight: list[tuple[float, bool]] = []
    while tagged < 100:
        for _ in range(limit.room(len(in_flight))):
            free_at, sent = max(now, free_at) + 1.5, sent + 1
            is_answered = free_at <= now + 6
            heappush(in_flight, (free_at if is_answered else now + 6, is_answered))
        now, is_answered = heappop(in_flight)
        limit.learn(answered=int(is_answered), timed_out=int(not is_answered))
        tagged += is_answered
    assert sent <= 150
