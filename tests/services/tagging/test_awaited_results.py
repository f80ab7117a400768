"""An answer is written while a person asks for its post: they get the result in either order.

On SQLite only one transaction writes.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from sqlalchemy import select

from sandbox.provider import ProviderSandbox
from services.availability.rate_limit import RateLimit
from services.llm.client import Provider
from services.tagging.service import TaggingService, Watcher
from storage import outbox
from storage.db.engine import Database
from storage.db.locks import lock_post
from storage.queue import claim, leases
from storage.queue.claim import ClaimedPost
from storage.schema.tables import OutboxRow, Post
from tests.services.engine import CHAIN, FAST
from tests.storage.db.locks import somebody_waits
from tests.storage.rows import NOW, add_posts, add_user

pytestmark = pytest.mark.parametrize("backend", ["postgresql"])
TAGGED = {"tagging_status": "success", "tags": ["тег"]}


@pytest.fixture
async def claimed(database: Database) -> ClaimedPost:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1)
        (post,) = await claim.claim_posts(session, limit=1, now=NOW, lease_seconds=300, token="t", after_user=0)
    return post


async def test_asked_for_while_its_answer_is_written(
    database: Database, provider: ProviderSandbox, claimed: ClaimedPost
) -> None:
    """The post has ended for who asks afterwards: it gets new tags."""
    async with Provider(provider.url, "key", 5, lambda: NOW) as client:
        tagging = TaggingService(
            database,
            client,
            CHAIN,
            FAST,
            RateLimit(0),
            batch_size=1,
            enabled=True,
            wake=lambda: None,
            probe=lambda: None,
            clock=lambda: NOW,
            random=Random(1),
        )
        async with database.write() as session:
            settled = await leases.settle(session, [(claimed, TAGGED)])
            asking = asyncio.create_task(tagging.update_post_tags(claimed.id, watcher=Watcher(1001, 1001)))
            await somebody_waits(database)
        await asking
    assert settled.awaited == frozenset()
    async with database.read() as session:
        assert (await session.execute(select(Post.tagging_status, Post.wants_new))).all() == [("pending", True)]
        assert (await session.execute(select(OutboxRow.ready_at))).scalars().all() == [None]


async def test_an_answer_comes_while_its_post_is_asked_for(database: Database, claimed: ClaimedPost) -> None:
    async def settle() -> leases.Settled:
        async with database.write() as session:
            return await leases.settle(session, [(claimed, TAGGED)])

    async with database.write() as session:
        assert await lock_post(session, claimed.id)
        settling = asyncio.create_task(settle())
        await somebody_waits(database)
        await outbox.open_result(session, post_id=claimed.id, telegram_id=1001, chat_id=1001, message_id=None, now=NOW)
    assert (await settling).awaited == {claimed.id}
