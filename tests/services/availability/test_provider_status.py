"""What /stats shows of the provider: when the queue will be through."""

from __future__ import annotations

from datetime import timedelta

from services.availability.provider_status import ProviderWatch
from services.availability.rate_limit import FREE_SCOPE, LimitState, RateLimit
from storage.db.engine import Database
from tests.storage.rows import NOW, add_posts, add_user

FREE, PAID = ("x/a:free",), ("x/a",)
INTERVAL = RateLimit(None).interval(FREE_SCOPE, LimitState(), NOW) or timedelta(0)


async def test_when_the_queue_will_be_through(database: Database) -> None:
    """Where that is wanted, and a limit is known: a paid model has none."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 5)
    free, paid = (ProviderWatch(database, chain, RateLimit(None), 10, lambda: NOW) for chain in (FREE, PAID))
    assert (await free.state(backlog=True)).through_at == NOW + 5 * INTERVAL
    assert (await free.state(backlog=False)).through_at is None
    assert (await paid.state(backlog=True)).through_at is None
