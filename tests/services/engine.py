"""The tagging engine against a real database and the provider's stand-in over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from sandbox.provider import ProviderSandbox
from services.availability.rate_limit import RateLimit
from services.clock import utc_now
from services.llm.client import Provider
from services.tagging.dispatcher import Dispatcher
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy
from services.tagging.rules_trial import RulesTrial
from services.tagging.service import TaggingService
from services.tagging.similar_tags import SimilarTags
from services.tagging.tagging_request import FinishedRequest
from services.tagging.worker import Worker
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database
from storage.schema.tables import Post

CHAIN = ("first/model", "second/model", "third/model", "fourth/model")
ADMIN = 1
FAST = Policy(max_retries=3, retry_delay=0.01, max_attempts=5, backoff_seconds=0.05)


class Clock:
    """Real time, moved on by hand besides."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass
class Engine:
    """Everything that tags."""

    database: Database
    provider: ProviderSandbox
    worker: Worker
    tagging: TaggingService
    trial: RulesTrial
    similar: SimilarTags

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
        """Wait until the database says so."""
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - the condition is in the database
                await asyncio.sleep(0.005)

    async def settled(self, seconds: float = 60) -> None:
        """Wait until no post is pending or retrying."""

        async def nothing_queued() -> bool:
            return not await self.count("pending", "retrying")

        await self.until(nothing_queued, seconds)

    async def count(self, *statuses: str) -> int:
        """Posts in one of the statuses."""
        return len([post for post in await self.posts() if post.tagging_status in statuses])

    async def posts(self) -> list[Post]:
        """All posts."""
        from sqlalchemy import select

        async with self.database.read() as session:
            return list((await session.execute(select(Post).order_by(Post.id))).scalars())


def _nothing() -> None:
    return None


@asynccontextmanager
async def running(
    database: Database,
    provider: ProviderSandbox,
    *,
    policy: Policy = FAST,
    chain: tuple[str, ...] = CHAIN,
    key: str = "key",
    concurrency: int = 10,
    batch_size: int = 1,
    timeout_seconds: float = 5,
    clock: Callable[[], datetime] = utc_now,
    lease_seconds: float = 300,
    per_minute: int | None = 0,
    stop_seconds: float = 15,
    tick_seconds: float = 1,
    on_finished: Callable[[Sequence[FinishedRequest]], None] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Engine]:
    """A worker at work, stopped cleanly at the end."""
    random, rate_limit = Random(1), RateLimit(per_minute)
    async with Provider(provider.url, key, timeout_seconds, clock) as client:
        recorder = Recorder(chain, policy, rate_limit, frozenset({ADMIN}), clock, random)
        dispatcher = Dispatcher(
            recorder,
            chain,
            policy,
            rate_limit,
            concurrency=concurrency,
            batch_size=batch_size,
            lease_seconds=lease_seconds,
            probe_seconds=timeout_seconds + 5,
            sends_models=lambda: client.extras,
            monotonic=monotonic,
        )
        worker = Worker(
            database,
            client,
            recorder,
            dispatcher,
            lease_seconds=lease_seconds,
            tick_seconds=tick_seconds,
            stop_seconds=stop_seconds,
            clock=clock,
            on_news=_nothing,
            on_finished=on_finished,
        )
        tagging = TaggingService(
            database,
            client,
            chain,
            policy,
            rate_limit,
            batch_size=batch_size,
            enabled=True,
            wake=worker.wake,
            probe=worker.probe,
            clock=clock,
            random=random,
        )
        trial = RulesTrial(database, client, chain, rate_limit, clock, enabled=True)
        vocabularies = Vocabularies(database, clock, _nothing)
        similar = SimilarTags(database, client, chain, rate_limit, vocabularies, clock, enabled=True)
        task = asyncio.create_task(worker.run())
        try:
            yield Engine(database, provider, worker, tagging, trial, similar)
        finally:
            worker.stop()
            await task
