"""What /metrics says: valid, bounded, and as much as is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.types import Update
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncSession

from bot.delivery.notifier import Result
from bot.errors import StartError
from bot.monitoring.exposition import Exposition, served_alone
from bot.monitoring.metrics import RESULTS, Metrics
from bot.telegram.middlewares import MeasureUpdates
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.llm.outcomes import Kind, Outcome, Usage
from services.metrics import MetricsReader
from storage.db.engine import Database
from tests.bot.running import ANNA, running_bot
from tests.metrics_seen import CHAIN, call_of, everything_known, finished
from tests.storage.rows import NOW

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples(body: bytes) -> dict[Sample, float]:
    """Name and labels → value; fails for what Prometheus would not read, or has twice."""
    found: dict[Sample, float] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def sample(name: str, **labels: str) -> Sample:
    return name, tuple(sorted(labels.items()))


def test_requests_attempts_tokens_and_cost() -> None:
    """An attempt is a post in a request; seconds, tokens and cost are the request's."""
    metrics = Metrics(CHAIN, "1.2.3")
    two = (Outcome(Kind.MALFORMED), Outcome(Kind.TAGGED, tags=("a",)))
    metrics.finished([finished(call_of(CHAIN[0], *two, seconds=2.5, usage=Usage(100, 20, 0.002)))])
    metrics.finished([finished(call_of(CHAIN[0], Outcome(Kind.TIMEOUT), seconds=60.1))])
    found = samples(metrics.render(None))
    model = CHAIN[0]
    assert found[sample("metka_attempts_total", outcome="tagged", model=model)] == 1
    assert found[sample("metka_attempts_total", outcome="malformed", model=model)] == 1
    assert found[sample("metka_attempts_total", outcome="timeout", model=model)] == 1
    assert found[sample("metka_requests_total", outcome="tagged", model=model)] == 1
    assert found[sample("metka_requests_total", outcome="malformed", model=model)] == 0
    assert found[sample("metka_tokens_total", kind="prompt", model=model)] == 100
    assert found[sample("metka_tokens_total", kind="completion", model=model)] == 20
    assert found[sample("metka_cost_dollars_total", model=model)] == 0.002
    assert found[sample("metka_request_seconds_count", model=model)] == 2
    assert found[sample("metka_request_seconds_bucket", model=model, le="3.0")] == 1
    assert found[sample("metka_request_seconds_bucket", model=model, le="60.0")] == 1
    assert found[sample("metka_build_info", version="1.2.3")] == 1


def test_every_series_of_the_chain_begins_at_zero() -> None:
    """Or the first failure of a kind would be no increase."""
    found = samples(Metrics(CHAIN, "1").render(None))
    for model in CHAIN:
        for kind in Kind:
            assert found[sample("metka_attempts_total", outcome=kind.value, model=model)] == 0
        assert found[sample("metka_cost_dollars_total", model=model)] == 0
    for result in RESULTS:
        assert found[sample("metka_notifications_total", kind="failed", result=result)] == 0
    assert get_args(Result) == RESULTS


def test_labels_are_bounded() -> None:
    """Neither what a provider calls itself nor a model that is none of the chain makes a series of its own."""
    metrics = Metrics(CHAIN, "1")
    before = len(samples(metrics.render(None)))
    for number in range(1000):
        answered = f"model-{number}"
        metrics.finished([finished(call_of(CHAIN[0], Outcome(Kind.TAGGED), answered=answered))])
    assert len(samples(metrics.render(None))) == before
    for number in range(1000):
        metrics.finished([finished(call_of(f"unknown-{number}", Outcome(Kind.TAGGED)))])
    found = samples(metrics.render(None))
    assert found[sample("metka_attempts_total", outcome="tagged", model="other")] == 1000
    assert not any("unknown" in value for _, labels in found for _, value in labels)


def test_labels_are_escaped() -> None:
    """A model may be called anything in the settings."""
    odd = 'a"b\\c\nd é'
    metrics = Metrics([odd], "1")
    metrics.finished([finished(call_of(odd, Outcome(Kind.TAGGED)))])
    body = metrics.render(everything_known([odd]))
    assert samples(body)[sample("metka_attempts_total", outcome="tagged", model=odd)] == 1
    assert samples(body)[sample("metka_model_aside", model=odd, reason="down")] == 1


def test_no_series_tells_when_it_began() -> None:
    """Prometheus needs none, and they would double the number."""
    assert b"_created" not in Metrics(CHAIN, "1").render(everything_known(CHAIN))


def test_two_of_them_share_nothing() -> None:
    """There is no global registry."""
    one, other = Metrics(CHAIN, "1"), Metrics(CHAIN, "1")
    one.updated("message", "handled", 0.1)
    assert sample("metka_updates_total", type="message", result="handled") in samples(one.render(None))
    assert sample("metka_updates_total", type="message", result="handled") not in samples(other.render(None))


def test_the_gauges_of_a_reading() -> None:
    """Each as it was read; times as Unix seconds."""
    found = samples(Metrics(CHAIN, "1").render(everything_known(CHAIN)))
    assert found[sample("metka_database_up")] == 1
    assert found[sample("metka_posts", status="failed")] == 3
    assert found[sample("metka_queue_due", status="pending")] == 5
    assert found[sample("metka_queue_oldest_due_seconds", status="pending")] == 61.5
    assert found[sample("metka_queue_leased")] == 2
    assert found[sample("metka_model_aside", model=CHAIN[0], reason="down")] == 1
    assert found[sample("metka_model_aside", model=CHAIN[0], reason="gone")] == 0
    assert found[sample("metka_model_half_open", model=CHAIN[1])] == 1
    assert found[sample("metka_model_faults", model=CHAIN[0])] == 4
    assert found[sample("metka_paused", reason="down")] == 1
    assert found[sample("metka_paused", reason="account")] == 0
    assert found[sample("metka_pause_ends_timestamp_seconds")] == NOW.timestamp()
    assert found[sample("metka_quota_limit")] == 50
    assert found[sample("metka_quota_left")] == 30
    assert found[sample("metka_tagging_enabled")] == 1
    assert found[sample("metka_outbox_waiting")] == 7


async def test_a_scrape_of_a_real_database(database: Database) -> None:
    """One call gives all of it; what is not known is absent."""
    exposition = Exposition(Metrics(CHAIN, "1"), MetricsReader(database, CHAIN, enabled=True, clock=lambda: NOW))
    found = samples(await exposition.scrape())
    assert found[sample("metka_database_up")] == 1
    assert found[sample("metka_posts", status="pending")] == 0
    names = {name for name, _ in found}
    assert not names & {"metka_quota_left", "metka_quota_limit", "metka_pause_ends_timestamp_seconds"}
    assert exposition.content_type == "text/plain; version=0.0.4; charset=utf-8"


class Broken:
    """A database that raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        raise self._error
        yield


def exposition_over(database: Any, metrics: Metrics) -> Exposition:
    return Exposition(metrics, MetricsReader(database, CHAIN, enabled=True, clock=lambda: NOW))


async def test_without_the_database_the_counters_remain() -> None:
    """The process says what it knows itself, and that the database is away."""
    metrics = Metrics(CHAIN, "1")
    metrics.notified("failed", "sent")
    found = samples(await exposition_over(Broken(ConnectionRefusedError()), metrics).scrape())
    assert found[sample("metka_database_up")] == 0
    assert found[sample("metka_notifications_total", kind="failed", result="sent")] == 1
    assert not any(name in {"metka_posts", "metka_queue_due", "metka_tagging_enabled"} for name, _ in found)


async def test_a_wrong_statement_is_no_outage() -> None:
    """A bug is seen as one."""
    with pytest.raises(ValueError, match="a bug"):
        await exposition_over(Broken(ValueError("a bug")), Metrics(CHAIN, "1")).scrape()


UPDATE = Update.model_validate(
    {"update_id": 1, "message": {"message_id": 1, "date": 0, "chat": {"id": 1, "type": "private"}, "text": "x"}}
)


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (None, "handled"),
        (UNHANDLED, "ignored"),
        (ValueError("x"), "failed"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
async def test_updates_are_measured(outcome: Any, result: str) -> None:
    """Type, what came of it, and the seconds, also of those that fail; nothing is swallowed."""
    seen: list[tuple[str, str, float]] = []
    times = iter((10.0, 12.5))

    async def handler(*_: Any) -> Any:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    measure = MeasureUpdates(lambda *what: seen.append(what), lambda: next(times))
    if isinstance(outcome, BaseException):
        with pytest.raises(type(outcome)):
            await measure(handler, UPDATE, {})
    else:
        assert await measure(handler, UPDATE, {}) is outcome
    assert seen == [("message", result, 2.5)]


async def test_the_bot_counts_updates_and_notifications(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """A command, and the notice of a failed post, as Telegram took them."""
    from services.clock import utc_now
    from storage import outbox

    metrics = Metrics(CHAIN, "1")
    async with running_bot(database, telegram, provider, metrics) as bot:
        await bot.say(ANNA, "/help")
        async with database.write() as session:
            await outbox.post_failed(session, 3, ANNA, utc_now())
        await bot.shows(ANNA, "❌ #3")
    found = samples(metrics.render(None))
    assert found[sample("metka_updates_total", type="message", result="handled")] >= 1
    assert found[sample("metka_update_seconds_count", type="message")] >= 1
    assert found[sample("metka_notifications_total", kind="failed", result="sent")] == 1


@pytest.mark.parametrize("address", ["", "9101", ":9101", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x", "a b:1"])
async def test_a_wrong_address_is_named(address: str) -> None:
    """In one line, which says what is allowed."""
    with pytest.raises(StartError, match=r"^--metrics: .* is not HOST:PORT, as in 127\.0\.0\.1:9101\.$"):
        async with served_alone(Metrics(CHAIN, "1"), address):
            pass


async def test_an_address_that_is_taken_is_named() -> None:
    """So that another can be chosen."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(StartError, match=f"--metrics: 127.0.0.1:{port} cannot be used"):
        async with served_alone(Metrics(CHAIN, "1"), f"127.0.0.1:{port}"):
            pass
    server.close()
