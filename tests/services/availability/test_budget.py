"""How many requests may go out: pace, quota, and the share of retries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.availability.budget import (
    FREE_LANE,
    FREE_RETRIES,
    ONE_LANE,
    RETRY_SHARE,
    LaneState,
    Pace,
    RetryBudget,
    backlog_through,
    remaining_today,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


def test_auto_paces_free_models_together_and_others_not_at_all() -> None:
    """20 a minute for `:free` and openrouter/free, in one lane; a paid model has its own, unpaced."""
    pace = Pace(None)
    assert pace.lane("x/a:free") == pace.lane("openrouter/free") == FREE_LANE
    assert pace.lane("x/a") == "x/a"
    interval = pace.interval(FREE_LANE, LaneState(), NOW)
    assert interval is not None
    assert 3.0 <= interval.total_seconds() <= 3.1
    assert pace.interval("x/a", LaneState(), NOW) is None


def test_auto_believes_what_a_429_said_for_a_day() -> None:
    """Of a paid model too; then it is tried without again."""
    learnt = LaneState(per_minute=60, learnt_at=NOW)
    for lane in (FREE_LANE, "x/a"):
        interval = Pace(None).interval(lane, learnt, NOW + timedelta(hours=23))
        assert interval is not None
        assert interval.total_seconds() == pytest.approx(1.02)
    assert Pace(None).interval("x/a", learnt, NOW + timedelta(hours=25)) is None


def test_a_number_is_exact_and_zero_is_none() -> None:
    """TAGGING_REQUESTS_PER_MINUTE=N: exactly that, whatever the provider's headers say; 0: no pacing of ours."""
    learnt = LaneState(per_minute=60, learnt_at=NOW)
    assert Pace(30).lane("x/a:free") == Pace(30).lane("x/a") == ONE_LANE
    interval = Pace(30).interval(ONE_LANE, learnt, NOW)
    assert interval is not None
    assert interval.total_seconds() == pytest.approx(2.04)
    assert Pace(0).interval(FREE_LANE, learnt, NOW) is None


def test_a_clock_that_was_set_back_stops_nobody() -> None:
    """A slot further ahead than anybody books is none."""
    pace = Pace(20)
    assert pace.wait(ONE_LANE, LaneState(next_at=NOW + timedelta(seconds=2)), NOW) == 2
    assert pace.wait(ONE_LANE, LaneState(next_at=NOW + timedelta(hours=1)), NOW) == 0
    assert pace.wait(ONE_LANE, LaneState(next_at=NOW - timedelta(seconds=2)), NOW) == 0


def test_the_days_quota_is_new_at_midnight_utc() -> None:
    """What was used yesterday does not count; without a known limit nothing is known."""
    state = LaneState(day="2026-01-01", day_used=48, day_limit=50)
    assert remaining_today(state, NOW) == 2
    assert remaining_today(state, MIDNIGHT) == 50
    assert remaining_today(replace(state, day_limit=None), NOW) is None
    assert remaining_today(replace(state, day_used=50), NOW) == 0
    assert remaining_today(replace(state, day_used=51), NOW) is None  # the limit was a wrong guess


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        (2, NOW + timedelta(seconds=6)),
        (3, MIDNIGHT + timedelta(seconds=3)),
        (52, MIDNIGHT + timedelta(seconds=150)),
        (53, MIDNIGHT + timedelta(days=1, seconds=3)),
    ],
)
def test_when_the_backlog_is_through(waiting: int, expected: datetime) -> None:
    """Under 2 requests left today, 50 a day, one in 3 s."""
    state = LaneState(day="2026-01-01", day_used=48, day_limit=50)
    assert backlog_through(waiting, state, timedelta(seconds=3), NOW) == expected


def test_without_any_limit_nobody_can_tell_when() -> None:
    """Neither pace nor quota: it depends on the models' speed alone."""
    assert backlog_through(10, LaneState(), None, NOW) is None


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 5.0)), max_size=300))
def test_retries_never_exceed_their_share(steps: list[tuple[bool, float]]) -> None:
    """In any minute at most the share of requests are retries, or the few that are always allowed."""
    budget, now, sent = RetryBudget(), 0.0, list[tuple[float, bool]]()
    for wants_retry, pause in steps:
        now += pause
        if wants_retry and budget.left(now) == 0:
            assert budget.wait(now) > 0
            continue
        budget.started(now, is_retry=wants_retry)
        sent.append((now, wants_retry))
        lately = [is_retry for at, is_retry in sent if at > now - 60]
        if wants_retry:
            assert sum(lately) <= max(FREE_RETRIES, RETRY_SHARE * len(lately) + 1e-9)


def test_a_quiet_bot_may_retry() -> None:
    """A few a minute, and again when the first is a minute ago."""
    budget = RetryBudget()
    for _ in range(FREE_RETRIES):
        assert budget.left(0.0) > 0
        budget.started(0.0, is_retry=True)
    assert budget.left(59.0) == 0
    assert budget.wait(59.0) == pytest.approx(1.0)
    assert budget.left(60.0) == FREE_RETRIES
