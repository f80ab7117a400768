"""The share of retries among all requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.availability.retry_budget import FREE_RETRIES, RETRY_SHARE, RetryBudget


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
