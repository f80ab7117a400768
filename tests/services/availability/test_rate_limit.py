"""How far apart requests start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.availability.rate_limit import ALL_SCOPE, FREE_SCOPE, LimitState, RateLimit

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def test_auto_paces_free_models_together_and_others_not_at_all() -> None:
    """20 a minute for `:free` and openrouter/free, in one scope; a paid model has its own, unpaced."""
    rate_limit = RateLimit(None)
    assert rate_limit.scope("x/a:free") == rate_limit.scope("openrouter/free") == FREE_SCOPE
    assert rate_limit.scope("x/a") == "x/a"
    interval = rate_limit.interval(FREE_SCOPE, LimitState(), NOW)
    assert interval is not None
    assert 3.0 <= interval.total_seconds() <= 3.1
    assert rate_limit.interval("x/a", LimitState(), NOW) is None


def test_auto_believes_what_a_429_said_for_a_day() -> None:
    """Of a paid model too; then it is tried without again."""
    learnt = LimitState(per_minute=60, learnt_at=NOW)
    for scope in (FREE_SCOPE, "x/a"):
        interval = RateLimit(None).interval(scope, learnt, NOW + timedelta(hours=23))
        assert interval is not None
        assert interval.total_seconds() == pytest.approx(1.02)
    assert RateLimit(None).interval("x/a", learnt, NOW + timedelta(hours=25)) is None


def test_a_number_is_exact_and_zero_is_none() -> None:
    """TAGGING_REQUESTS_PER_MINUTE=N: exactly that, whatever the provider's headers say; 0: no pacing of ours."""
    learnt = LimitState(per_minute=60, learnt_at=NOW)
    assert RateLimit(30).scope("x/a:free") == RateLimit(30).scope("x/a") == ALL_SCOPE
    interval = RateLimit(30).interval(ALL_SCOPE, learnt, NOW)
    assert interval is not None
    assert interval.total_seconds() == pytest.approx(2.04)
    assert RateLimit(0).interval(FREE_SCOPE, learnt, NOW) is None


def test_a_clock_that_was_set_back_stops_nobody() -> None:
    """A slot further ahead than anybody books is none."""
    rate_limit = RateLimit(20)
    assert rate_limit.wait(ALL_SCOPE, LimitState(next_at=NOW + timedelta(seconds=2)), NOW) == 2
    assert rate_limit.wait(ALL_SCOPE, LimitState(next_at=NOW + timedelta(hours=1)), NOW) == 0
    assert rate_limit.wait(ALL_SCOPE, LimitState(next_at=NOW - timedelta(seconds=2)), NOW) == 0
