"""A local server that answers one request after the other, and is asked by ten at once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from sandbox.provider import ProviderSandbox
from services.tagging.retry_policy import Policy
from storage.db.engine import Database
from storage.schema.tables import OutboxRow
from tests.services.engine import running
from tests.services.posts import fill, own_tags

#: A fifteenth of 1.5 s an answer, a limit of 6 s, and the waits of an ordinary installation.
SCALE = 1 / 15
POLICY = Policy(max_retries=3, retry_delay=2 * SCALE, max_attempts=5, backoff_seconds=60 * SCALE)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_slow_server_is_neither_flooded_nor_called_down(database: Database, provider: ProviderSandbox) -> None:
    """100 posts cost 150 requests at most, and nobody is told of an outage: posts succeed all the while."""
    await fill(database, 100)
    provider.is_serial, provider.latency, provider.openrouter = True, 1.5 * SCALE, False
    async with running(
        database, provider, policy=POLICY, chain=("local",), key="", concurrency=10, timeout_seconds=6 * SCALE
    ) as engine:
        await engine.settled()
        assert all(map(own_tags, await engine.posts()))
    assert len(provider.requests) <= 150
    async with database.read() as session:
        alerts = (await session.execute(select(OutboxRow).where(OutboxRow.kind == "admin"))).scalars().all()
    # Withdrawn before it was time to tell them.
    assert all(alert.done_at and alert.ready_at and alert.done_at < alert.ready_at for alert in alerts)
