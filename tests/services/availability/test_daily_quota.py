"""The day's quota: what is left of it, and how it is learnt without spending any."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.provider import ProviderSandbox
from services.availability.circuit_breaker import Aside
from services.availability.daily_quota import DayQuota, QuotaWatch, backlog_through, read_quota, remaining_today
from services.availability.model_states import load_states
from services.availability.rate_limit import LimitState
from services.clock import day_ends, utc_now
from services.llm.client import Provider
from storage.db.engine import Database
from storage.queue import limits

CHAIN = ("x/a:free", "x/paid")
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"free_model_daily_requests": {"used": 3, "limit": 50, "remaining": 47}}, DayQuota(50, 3)),
        ({"free_model_daily_requests": {"used": 3, "remaining": 47}}, DayQuota(50, 3)),
        ({"free_model_daily_requests": {"limit": 1000}}, DayQuota(1000, None)),
        ({"free_model_daily_requests": None, "is_free_tier": True}, DayQuota(50, None, is_stated=False)),
        ({"is_free_tier": False}, DayQuota(1000, None, is_stated=False)),
        ({"is_free_tier": "yes"}, None),
        ({"free_model_daily_requests": {"limit": "many"}}, None),
        ({}, None),
        ("text", None),
    ],
)
def test_what_an_answer_says(data: Any, expected: DayQuota | None) -> None:
    """The field that states it, else the tier; rubbish says nothing."""
    assert read_quota({"data": data}) == expected


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.dictionaries(st.text(), c)))
def test_no_answer_is_too_strange(answer: Any) -> None:
    """Never an error."""
    read_quota(answer)
    read_quota({"data": answer})


async def test_the_quota_is_kept_for_all_processes_and_asked_for_once(
    database: Database, provider: ProviderSandbox
) -> None:
    """Another process that starts at the same time does not ask again."""
    provider.requests_per_day, provider.served_today = 50, 12
    async with Provider(provider.url, "key", 5, utc_now) as client:
        await QuotaWatch(database, client, CHAIN, utc_now).check()
        provider.served_today = 20
        await QuotaWatch(database, client, CHAIN, utc_now).check()
    async with database.read() as session:
        row = (await limits.load(session))["free"]
    assert (row.day_limit, row.day_used) == (50, 12)
    assert provider.requests == []


async def test_a_spent_quota_pauses_free_models_without_a_request(
    database: Database, provider: ProviderSandbox
) -> None:
    """Until the day ends; a paid model goes on."""
    provider.requests_per_day = provider.served_today = 50
    async with Provider(provider.url, "key", 5, utc_now) as client:
        await QuotaWatch(database, client, CHAIN, utc_now).check()
    async with database.read() as session:
        states = await load_states(session)
    assert {model: (state.reason, state.until) for model, state in states.items()} == {
        "x/a:free": (Aside.LIMITED, day_ends(utc_now()))
    }


async def test_a_server_without_key_is_asked_once(database: Database, provider: ProviderSandbox) -> None:
    """It answers 404 or 400: never again, and nothing is known."""
    provider.openrouter = False
    async with Provider(provider.url, "key", 5, utc_now) as client:
        watch = QuotaWatch(database, client, CHAIN, utc_now)
        await watch.run()  # returns by itself only if it is over
        assert not client.tells_key
    async with database.read() as session:
        assert (await limits.load(session))["free"].day_limit is None


def test_the_days_quota_is_new_at_midnight_utc() -> None:
    """What was used yesterday does not count; without a known limit nothing is known."""
    state = LimitState(day="2026-01-01", day_used=48, day_limit=50)
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
    state = LimitState(day="2026-01-01", day_used=48, day_limit=50)
    assert backlog_through(waiting, state, timedelta(seconds=3), NOW) == expected


def test_without_any_limit_nobody_can_tell_when() -> None:
    """Neither rate limit nor quota: it depends on the models' speed alone."""
    assert backlog_through(10, LimitState(), None, NOW) is None
