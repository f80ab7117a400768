"""What /stats shows of the provider: when the queue will be through."""

from __future__ import annotations

from datetime import timedelta

from services.availability.provider_status import KEEP_TIMES, LONGEST_KEPT, ProviderWatch
from services.availability.rate_limit import FREE_SCOPE, LimitState, RateLimit
from storage.db.engine import Database
from tests.storage.rows import NOW, add_posts, add_user

CHAIN = ("x/a:free",)
INTERVAL = RateLimit(None).interval(FREE_SCOPE, LimitState(), NOW) or timedelta(0)


async def test_a_long_queue_is_not_counted_each_time(database: Database) -> None:
    """A count serves for longer the longer it took; one that took no time for none."""
    took = LONGEST_KEPT / KEEP_TIMES / 2
    over = took + KEEP_TIMES * took
    readings = iter([0.0, took, over - took, over, over, over, over])
    watch = ProviderWatch(database, CHAIN, RateLimit(None), lambda: NOW, monotonic=lambda: next(readings))
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 5)
    assert (await watch.state(backlog=True)).through_at == NOW + 5 * INTERVAL
    async with database.write() as session:
        await add_posts(session, 1, 2, first=100)
    assert (await watch.state(backlog=True)).through_at == NOW + 5 * INTERVAL
    assert (await watch.state(backlog=True)).through_at == NOW + 7 * INTERVAL
    async with database.write() as session:
        await add_posts(session, 1, 1, first=200)
    assert (await watch.state(backlog=True)).through_at == NOW + 8 * INTERVAL


async def test_a_count_that_took_long_is_not_kept_for_long(database: Database) -> None:
    """The database was away for a while, and the queue is another one since."""
    readings = iter([0.0, 20.0, 20.0 + LONGEST_KEPT, 20.0 + LONGEST_KEPT])
    watch = ProviderWatch(database, CHAIN, RateLimit(None), lambda: NOW, monotonic=lambda: next(readings))
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 5)
    await watch.state(backlog=True)
    async with database.write() as session:
        await add_posts(session, 1, 2, first=100)
    assert (await watch.state(backlog=True)).through_at == NOW + 7 * INTERVAL


async def test_the_queue_is_counted_only_where_it_is_wanted(database: Database) -> None:
    """And where a limit is known: a paid model has none."""

    def never() -> float:
        raise AssertionError("counted")

    assert (await ProviderWatch(database, CHAIN, RateLimit(None), lambda: NOW, never).state(backlog=False)).enabled
    assert (await ProviderWatch(database, ("x/a",), RateLimit(None), lambda: NOW, never).state(backlog=True)).enabled
