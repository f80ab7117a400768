"""How many requests may start now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.availability.admission import Admission, AdmissionControl, ProviderView
from services.availability.circuit_breaker import Aside, ModelState
from services.availability.rate_limit import ALL_SCOPE, FREE_SCOPE, LimitState, RateLimit, SharedRateLimits

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SOON, PAST = NOW + timedelta(seconds=3), NOW - timedelta(seconds=1)
CHAIN = ("x/first", "x/second")
CONCURRENCY, BATCH = 10, 5


def control(per_minute: int) -> AdmissionControl:
    rate_limits = SharedRateLimits(RateLimit(per_minute), CHAIN)
    return AdmissionControl(CHAIN, rate_limits, concurrency=CONCURRENCY, batch_size=BATCH)


def down(until: datetime, reason: Aside = Aside.DOWN, **more: Any) -> dict[str, ModelState]:
    return {model: ModelState(model, until, reason, **more) for model in CHAIN}


@pytest.mark.parametrize(
    ("models", "per_minute", "next_at", "in_flight", "probe", "expected"),
    [
        ({}, 0, None, 0, False, Admission(CONCURRENCY, BATCH)),
        ({}, 0, None, 7, False, Admission(3, BATCH)),
        ({}, 0, None, CONCURRENCY, False, Admission(0)),
        # With one model down the other ones are asked.
        ({CHAIN[0]: ModelState(CHAIN[0], SOON, Aside.DOWN)}, 0, None, 0, False, Admission(CONCURRENCY, BATCH)),
        # A rate limit: one request in each slot.
        ({}, 20, None, 0, False, Admission(1, BATCH, wait=0.0)),
        ({}, 20, SOON, 0, False, Admission(0, wait=3.0)),
        ({}, 20, SOON, CONCURRENCY, False, Admission(0, wait=3.0)),
        # A pause, its end, and the probe that is under way then.
        (down(SOON), 0, None, 0, False, Admission(0, wait=3.0)),
        (down(PAST), 0, None, 0, False, Admission(1)),
        (down(PAST, probe_until=SOON), 0, None, 1, False, Admission(0, wait=3.0)),
        (down(PAST, Aside.LIMITED), 0, None, 0, False, Admission(CONCURRENCY, BATCH)),
        # A person wants to try.
        (down(SOON), 0, None, 0, True, Admission(1)),
        (down(SOON), 0, None, CONCURRENCY, True, Admission(0)),
        ({}, 0, None, 0, True, Admission(1, wait=0.0)),
    ],
)
def test_how_many_may_start(
    models: dict[str, ModelState],
    per_minute: int,
    next_at: datetime | None,
    in_flight: int,
    probe: bool,
    expected: Admission,
) -> None:
    limits = {scope: LimitState(next_at=next_at) for scope in (*CHAIN, FREE_SCOPE, ALL_SCOPE)}
    view = ProviderView(models, limits, NOW)
    assert control(per_minute).admit(view, in_flight, probe=probe) == expected


@pytest.mark.parametrize("refused", [True, False])
def test_requests_start_slowly_after_an_outage_and_after_a_refusal_of_the_account(refused: bool) -> None:
    admits, limits = control(0), dict.fromkeys((*CHAIN, FREE_SCOPE), LimitState())
    if refused:
        admits.ended(answered=0, timed_out=0, refused_access=True)
    else:
        admits.admit(ProviderView(down(SOON), limits, NOW), 0, probe=False)
    view = ProviderView({}, limits, NOW)
    assert admits.admit(view, 0, probe=False).requests == 1
    admits.ended(answered=1, timed_out=0, refused_access=False)
    assert admits.admit(view, 0, probe=False).requests == 2
