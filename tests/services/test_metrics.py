"""The installation's metrics, and how often they are queried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, ModelState
from services.availability.model_states import save_states
from services.availability.provider_status import Quota
from services.availability.rate_limit import FREE_SCOPE
from services.metrics import KEEP_SECONDS, MetricsReader, ModelMetrics
from storage.accounts import people as people_rows
from storage.db.engine import Database
from storage.queue import limits
from storage.queue.claim import Priority
from storage.schema.tables import OutboxRow, RateLimitRow
from tests.storage.rows import NOW, add_posts, add_user

CHAIN = ("first/model", "second/model:free")
BEFORE, AFTER = NOW - timedelta(minutes=10), NOW + timedelta(minutes=10)


def ago(**values: float) -> datetime:
    return NOW - timedelta(**values)


@dataclass
class Seconds:
    """A monotonic clock that tests move."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def gauges(database: Database, *, enabled: bool = True, chain: tuple[str, ...] = CHAIN, **more: Any) -> MetricsReader:
    return MetricsReader(database, chain, enabled=enabled, clock=lambda: NOW, **more)


async def add(session: AsyncSession, first: int, count: int = 1, **values: Any) -> None:
    """Add posts that were stored an hour ago, unless `values` differ."""
    await add_posts(session, 1, count, first=first, **{"posted_at": ago(days=9), "parsed_at": ago(hours=1), **values})


async def test_an_empty_installation(database: Database) -> None:
    """Every status is counted from the beginning; unknown values are None."""
    reading = await gauges(database).read()
    assert dict(reading.posts) == dict.fromkeys(("pending", "retrying", "success", "failed", "skipped", "other"), 0)
    assert dict(reading.due) == {"pending": 0, "retrying": 0}
    assert dict(reading.oldest_due) == {"pending": 0.0, "retrying": 0.0}
    assert (reading.leased, reading.outbox_waiting, reading.paused, reading.pause_ends) == (0, 0, None, None)
    assert reading.quota is None
    assert reading.models == tuple(ModelMetrics(model, None, half_open=False, faults=0) for model in CHAIN)


async def test_posts_by_status(database: Database) -> None:
    """NULL is pending; statuses of other programs are counted together."""
    async with database.write() as session:
        await add_user(session, 1)
        statuses = ("pending", None, "retrying", "success", "success", "failed", "skipped", "odd", "odder")
        for number, status in enumerate(statuses, 1):
            await add(session, number, tagging_status=status)
    reading = await gauges(database).read()
    assert dict(reading.posts) == {"pending": 2, "retrying": 1, "success": 2, "failed": 1, "skipped": 1, "other": 2}


async def test_what_is_due_now(database: Database) -> None:
    """Posts that wait for their time or are leased are not due; an expired lease does not count."""
    async with database.write() as session:
        await add_user(session, 1)
        await add(session, 1, 3)
        await add(session, 4, tagging_status=None)
        await add(session, 5, next_attempt_at=AFTER)
        await add(session, 6, lease_token="t", lease_expires_at=AFTER)
        await add(session, 7, 2, tagging_status="retrying", next_attempt_at=BEFORE)
        await add(session, 9, tagging_status="retrying", next_attempt_at=AFTER)
        await add(session, 10, tagging_status="retrying", lease_token="t", lease_expires_at=BEFORE)
        await add(session, 11, tagging_status="success", lease_token="t", lease_expires_at=AFTER)
        await add(session, 12, tagging_status="failed", next_attempt_at=BEFORE)
    reading = await gauges(database).read()
    assert dict(reading.due) == {"pending": 4, "retrying": 3}
    assert reading.leased == 1


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({}, 3600),
        ({"parsed_at": None}, 9 * 86400),
        ({"next_attempt_at": BEFORE}, 600),
        ({"next_attempt_at": BEFORE, "requested_at": ago(minutes=1)}, 600),
        ({"requested_at": ago(minutes=2)}, 120),
        ({"requested_at": ago(minutes=2), "last_tagging_attempt": ago(minutes=1)}, 60),
        ({"last_tagging_attempt": ago(minutes=3)}, 180),
        ({"parsed_at": AFTER}, 0),
        ({"work_class": Priority.RETRY}, 3600),
        ({"work_class": Priority.BULK}, 0),
        ({"work_class": Priority.BACKFILL}, 0),
        ({"work_class": Priority.NIGHTLY}, 0),
        ({"next_attempt_at": AFTER}, 0),
        ({"lease_token": "t", "lease_expires_at": AFTER}, 0),
    ],
)
async def test_since_when_a_post_is_due(database: Database, values: dict[str, Any], seconds: float) -> None:
    """Since its `next_attempt_at`, or else since its last event; bulk work waits by design."""
    async with database.write() as session:
        await add_user(session, 1)
        await add(session, 1, **values)
        await add(session, 2, tagging_status="retrying", next_attempt_at=ago(seconds=7))
    reading = await gauges(database).read()
    assert dict(reading.oldest_due) == {"pending": seconds, "retrying": 7.0}


async def test_the_oldest_counts(database: Database) -> None:
    """The longest-waiting post counts."""
    async with database.write() as session:
        await add_user(session, 1)
        for number, minutes in enumerate((5, 50, 20), 1):
            await add(session, number, parsed_at=ago(minutes=minutes))
    assert (await gauges(database).read()).oldest_due["pending"] == 3000


async def test_models_set_aside_and_the_pause(database: Database) -> None:
    """Open and half-open breakers of the chain's models, and the pause if no model is left."""
    down = ModelState("first/model", AFTER, Aside.DOWN, "HTTP 503", BEFORE, faults=4)
    async with database.write() as session:
        gone = ModelState("old/model", ago(days=-1), Aside.GONE, "gone", BEFORE)
        await save_states(session, [down, gone])
    reading = await gauges(database).read()
    assert reading.models[0] == ModelMetrics("first/model", Aside.DOWN, half_open=False, faults=4)
    assert reading.models[1] == ModelMetrics("second/model:free", None, half_open=False, faults=0)
    assert (reading.paused, reading.pause_ends) == (None, None)
    async with database.write() as session:
        await save_states(session, [ModelState("second/model:free", BEFORE, Aside.DOWN, "HTTP 503", BEFORE, faults=3)])
    reading = await gauges(database).read()
    assert reading.models[1] == ModelMetrics("second/model:free", None, half_open=True, faults=3)
    assert (reading.paused, reading.pause_ends) == (Aside.DOWN, BEFORE)


async def test_without_a_key_nothing_is_paused(database: Database) -> None:
    """Errors of an earlier key do not count while tagging is disabled."""
    async with database.write() as session:
        await save_states(session, [ModelState(model, AFTER, Aside.ACCOUNT, "401", BEFORE) for model in CHAIN])
    reading = await gauges(database, enabled=False).read()
    assert (reading.tagging_enabled, reading.paused, reading.models[0].aside) == (False, None, None)
    assert (await gauges(database).read()).paused is Aside.ACCOUNT


async def test_the_quota_of_free_models(database: Database) -> None:
    """Known once the provider has reported it, and only if the chain has free models."""
    async with database.write() as session:
        await limits.ensure(session, [FREE_SCOPE])
        await session.execute(update(RateLimitRow).values(day="2026-01-01", day_used=20, day_limit=50))
    quota = (await gauges(database).read()).quota
    assert isinstance(quota, Quota)
    assert (quota.limit, quota.remaining) == (50, 30)
    assert (await gauges(database, chain=("paid/model",)).read()).quota is None


async def test_messages_that_wait(database: Database) -> None:
    """Notices that are ready, except for unreachable people and for results that are not there yet."""
    async with database.write() as session:
        for telegram_id, values in (
            (1, {"ready_at": BEFORE}),
            (1, {"ready_at": BEFORE, "not_before": AFTER}),
            (1, {"ready_at": BEFORE, "done_at": NOW}),
            (1, {"ready_at": None}),
            (2, {"ready_at": BEFORE}),
        ):
            session.add(OutboxRow(kind="admin", telegram_id=telegram_id, created_at=BEFORE, **values))
        await people_rows.save(session, 2, NOW, reachable=False)
    assert (await gauges(database).read()).outbox_waiting == 2


@dataclass
class Counted:
    """A database that counts queries; `gate` holds them, `slow` lets them take time on the clock."""

    inner: Database
    clock: Seconds
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    looks: int = 0
    slow: float = 0.0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        self.looks += 1
        await self.gate.wait()
        self.clock.now += self.slow
        async with self.inner.read() as session:
            yield session


@pytest.fixture
def counted(database: Database) -> Counted:
    made = Counted(database, Seconds())
    made.gate.set()
    return made


def counting(counted: Counted, **more: Any) -> MetricsReader:
    return MetricsReader(counted, CHAIN, enabled=True, clock=lambda: NOW, monotonic=counted.clock, **more)  # type: ignore[arg-type]


async def test_many_scrapers_cost_one_look(counted: Counted) -> None:
    """Concurrent ones, and those in the next ten seconds."""
    counted.gate.clear()
    each = counting(counted)
    asking = [asyncio.create_task(each.read()) for _ in range(20)]
    await asyncio.sleep(0)
    counted.gate.set()
    first, *others = await asyncio.gather(*asking)
    assert all(other is first for other in others)
    counted.clock.now = KEEP_SECONDS - 0.1
    assert await each.read() is first
    assert counted.looks == 1
    counted.clock.now = KEEP_SECONDS
    assert await each.read() is not first
    assert counted.looks == 2


async def test_a_failure_is_kept_too(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unavailable database is not queried at every scrape, and later queried again."""

    async def away(*_: Any) -> Any:
        raise OSError("away")

    each, counted.slow = counting(counted), 30.0
    with monkeypatch.context() as patch:
        patch.setattr("services.metrics.overview.count_by_status", away)
        for _ in range(3):
            with pytest.raises(OSError, match="away"):
                await each.read()
    assert counted.looks == 1
    counted.clock.now = 30.0 + KEEP_SECONDS
    assert (await each.read()).leased == 0


async def test_a_database_that_hangs_is_asked_once(counted: Counted) -> None:
    """A request gets its answer in time, the query goes on for the next one, and `close` cancels it."""
    counted.gate.clear()
    each = counting(counted, within_seconds=0.0)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await each.read()
    assert counted.looks == 1
    await each.close()
    counted.gate.set()
    assert counted.looks == 1
