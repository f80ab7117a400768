"""Alerts to the administrators, and how often they are sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from services.availability.circuit_breaker import Aside, ModelState
from services.availability.model_states import save_states
from services.notifications.outbox import Outbox
from services.notifications.provider_alerts import AlertWatch, PauseAlerts
from storage.db.engine import Database
from storage.schema.tables import Attempt, OutboxRow
from tests.storage.rows import add_posts, add_user

ADMIN = 1
CHAIN = ("m",)


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)


async def pause(database: Database, clock: Clock, before: Aside | None, after: Aside | None) -> None:
    async with database.write() as session:
        await PauseAlerts([ADMIN]).changed(session, before, after, "HTTP 503: the provider failed", clock())


async def sent(database: Database, clock: Clock) -> list[str]:
    """Send what is due, and return it."""
    outbox = Outbox(database, clock)
    notices = await outbox.due()
    for notice in notices:
        await outbox.sent(notice, 1)
    return [notice.payload["text"] for notice in notices]


async def attempts(database: Database, clock: Clock, **ended: int) -> None:
    """Store attempts that have just ended with these outcomes."""
    rows: list[dict[str, Any]] = [
        {
            "post_id": 1,
            "request_id": "x",
            "at": clock(),
            "model_asked": "m",
            "outcome": "tagged" if how == "tagged" else "malformed",
            "seconds": 1.0,
            "ended": how,
        }
        for how, count in ended.items()
        for _ in range(count)
    ]
    async with database.write() as session:
        await session.execute(insert(Attempt), rows)


async def watch(database: Database, clock: Clock) -> AlertWatch:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1)
    return AlertWatch(database, CHAIN, [ADMIN], 20, clock)


async def test_an_outage_is_told_once_at_its_beginning_and_once_at_its_end(database: Database) -> None:
    """Failed probes and changed reasons send no further alert."""
    clock = Clock()
    await pause(database, clock, None, Aside.DOWN)
    assert await sent(database, clock) == ["outage"]
    await pause(database, clock, Aside.LIMITED, Aside.DOWN)
    assert await sent(database, clock) == []
    await pause(database, clock, Aside.DOWN, None)
    assert await sent(database, clock) == ["recovered"]
    await pause(database, clock, Aside.DOWN, None)
    assert await sent(database, clock) == []


async def test_what_is_over_before_anybody_was_told_is_not_told(database: Database) -> None:
    """Telegram was unavailable meanwhile."""
    clock = Clock()
    await pause(database, clock, None, Aside.DOWN)
    await pause(database, clock, Aside.DOWN, None)
    assert await sent(database, clock) == []


async def test_an_upstream_that_comes_and_goes_is_one_piece_of_news(database: Database) -> None:
    """A second outage within ten minutes is told only if it lasts a minute."""
    clock = Clock()
    await pause(database, clock, None, Aside.DOWN)
    await sent(database, clock)
    await pause(database, clock, Aside.DOWN, None)
    await sent(database, clock)
    clock.later(seconds=30)
    await pause(database, clock, None, Aside.DOWN)
    clock.later(seconds=30)
    assert await sent(database, clock) == []
    clock.later(seconds=31)
    assert await sent(database, clock) == ["outage"]


async def test_a_pause_that_ended_by_time_alone_is_told_to_be_over(database: Database) -> None:
    """No request reveals it, only the scheduler's check."""
    clock = Clock()
    looking = await watch(database, clock)
    await pause(database, clock, None, Aside.DOWN)
    assert await sent(database, clock) == ["outage"]
    async with database.write() as session:
        await save_states(session, [ModelState("m", clock() + timedelta(seconds=60), Aside.LIMITED)])
    assert not await looking.check()
    clock.later(seconds=61)
    assert await looking.check()
    assert await sent(database, clock) == ["recovered"]


async def test_many_failures_are_told_with_their_reasons_and_again_only_after_it_was_well(database: Database) -> None:
    """More than 20 % of at least 20 attempts in the last hour."""
    clock = Clock()
    looking = await watch(database, clock)
    await attempts(database, clock, retrying=10, failed=5, tagged=4)
    assert not await looking.check()
    await attempts(database, clock, tagged=1)
    assert await looking.check()
    assert not await looking.check()
    async with database.read() as session:
        rows = (await session.execute(select(OutboxRow.payload))).scalars().all()
    assert rows == [{"text": "failing", "failed": 15, "attempts": 20, "reasons": {"malformed": 15}}]
    await sent(database, clock)
    clock.later(minutes=30)
    await attempts(database, clock, tagged=60)
    assert not await looking.check()
    clock.later(minutes=40)
    await attempts(database, clock, retrying=60)
    assert await looking.check()


async def test_attempts_that_go_on_or_are_in_doubt_do_not_count(database: Database) -> None:
    """A fault after which the next model succeeded is no failed attempt."""
    clock = Clock()
    looking = await watch(database, clock)
    await attempts(database, clock, tagged=20, retrying=30)
    async with database.write() as session:
        await session.execute(update(Attempt).where(Attempt.ended == "retrying").values(ended=None))
    assert not await looking.check()
