"""A local server that answers one request after the other, and is asked by ten at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from sandbox.provider import ProviderSandbox
from services.clock import utc_now
from services.tagging.retry_policy import Policy
from storage.db.engine import Database
from storage.schema.tables import OutboxRow, Post
from tests.services.engine import running
from tests.services.posts import fill, own_tags

#: A fifth of 1.5 s an answer, a limit of 6 s, and the waits of an ordinary installation. A loaded machine's own pauses
#: are to stay small beside these.
SCALE = 1 / 5
POLICY = Policy(max_retries=3, retry_delay=2 * SCALE, max_attempts=5, backoff_seconds=60 * SCALE)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_slow_server_is_neither_flooded_nor_called_down(database: Database, provider: ProviderSandbox) -> None:
    """100 posts cost 150 requests at most, and nobody is told of an outage: posts succeed all the while."""
    await fill(database, 100)
    provider.is_serial, provider.latency, provider.openrouter = True, 1.5 * SCALE, False
    async with running(
        database, provider, policy=POLICY, chain=("local",), key="", concurrency=10, timeout_seconds=6 * SCALE
    ) as engine:
        await engine.settled(200)
        assert all(map(own_tags, await engine.posts()))
    assert len(provider.requests) <= 150
    async with database.read() as session:
        alerts = (await session.execute(select(OutboxRow).where(OutboxRow.kind == "admin"))).scalars().all()
    # Withdrawn before it was time to tell them.
    assert all(alert.done_at and alert.ready_at and alert.done_at < alert.ready_at for alert in alerts)


async def test_a_request_that_hung_is_not_repeated_before_its_time(
    database: Database, provider: ProviderSandbox
) -> None:
    """That others were served since shows that the attempt counts: its backoff stands."""
    await fill(database, 2)
    failed_at = utc_now() - timedelta(seconds=5)
    async with database.write() as session:
        post = await session.get_one(Post, 1)
        post.tagging_status, post.tagging_error, post.waits_for_upstream = "retrying", "no answer within 60 s", True
        post.last_tagging_attempt, post.next_attempt_at = failed_at, failed_at + timedelta(minutes=4)
    async with running(database, provider, policy=Policy(backoff_seconds=60)) as engine:

        async def is_counted() -> bool:
            return (await engine.posts())[0].tagging_attempts == 1

        await engine.until(is_counted)
        waiting, tagged = await engine.posts()
    assert own_tags(tagged)
    assert waiting.next_attempt_at is not None
    assert 48 <= (waiting.next_attempt_at - failed_at).total_seconds() <= 72
    assert len(provider.requests) == 1
