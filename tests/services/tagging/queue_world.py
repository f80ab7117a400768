"""The real queue with two workers, driven step by step: a clock that stands still, and no provider."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar, cast

from sqlalchemy import delete, insert, select, text, update

from services.availability.rate_limit import RateLimit
from services.llm.client import Call, Provider, Request
from services.llm.outcomes import Kind, Outcome, Usage
from services.tagging.dispatcher import Dispatcher
from services.tagging.recorder import Recorder
from services.tagging.service import TaggingService
from services.tagging.tagging_request import FinishedRequest, Plan, TaggingRequest
from storage.db.engine import Database, parse_url
from storage.queue import leases, provider_waits
from storage.queue.claim import ClaimedPost
from storage.schema.tables import Base, Post, RetryRunPost
from tests.services.tagging.queue_model import CHAIN, LEASE, POLICY, ProviderSeen
from tests.storage.rows import add_user

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
USERS = (1, 2)
CONCURRENCY = 3

Value = TypeVar("Value")


@dataclass
class Flight:
    """A request of a worker's that has no answer yet."""

    request: TaggingRequest
    began: datetime

    @property
    def post(self) -> ClaimedPost:
        """Its one post."""
        return self.request.posts[0]


@dataclass
class Process:
    """A worker without its loop: what it decides by, and what it holds."""

    recorder: Recorder
    dispatcher: Dispatcher
    flights: list[Flight] = field(default_factory=list)
    maybe_waiting: bool = True


class World:
    """A database, two workers and the use cases; `run` drives their coroutines."""

    def __init__(self, url: str) -> None:
        self.now = START
        self.probe_asked = False
        self._runner = asyncio.Runner()
        self._random = Random(1)
        self.database = Database(parse_url(url))
        self.workers = [self._process(), self._process()]
        self.tagging = TaggingService(
            self.database,
            # Only `generate_tags_for_text` would ask it.
            cast("Provider", None),
            CHAIN,
            POLICY,
            RateLimit(0),
            batch_size=1,
            enabled=True,
            wake=lambda: None,
            probe=self._ask_probe,
            clock=lambda: self.now,
            random=self._random,
        )
        self.run(self._begin())

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Drive a coroutine to its end."""
        return self._runner.run(work)

    def close(self) -> None:
        """Let go of everything."""
        self.run(self.database.close())
        self._runner.close()

    def _seconds(self) -> float:
        return self.now.timestamp()

    def _ask_probe(self) -> None:
        self.probe_asked = True

    def _process(self) -> Process:
        rate_limit = RateLimit(0)
        recorder = Recorder(CHAIN, POLICY, rate_limit, frozenset({1}), lambda: self.now, self._random)
        dispatcher = Dispatcher(
            recorder,
            CHAIN,
            POLICY,
            rate_limit,
            concurrency=CONCURRENCY,
            batch_size=1,
            lease_seconds=LEASE.total_seconds(),
            probe_seconds=65,
            sends_models=lambda: True,
            monotonic=self._seconds,
        )
        return Process(recorder, dispatcher)

    async def _begin(self) -> None:
        """No row of an example before this one, and two users."""
        async with self.database.write() as session:
            if not self.database.is_sqlite:
                names = ", ".join(table.name for table in Base.metadata.sorted_tables)
                await session.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
            for user in USERS:
                await add_user(session, user)

    async def rows(self) -> dict[int, Post]:
        """All posts as they stand."""
        async with self.database.read() as session:
            return {post.id: post for post in (await session.execute(select(Post))).scalars()}

    async def posts_of(self, run_id: int | None) -> set[int]:
        """The posts of a /retry."""
        async with self.database.read() as session:
            return set(await session.scalars(select(RetryRunPost.post_id).where(RetryRunPost.batch_id == run_id)))

    async def upstream(self) -> ProviderSeen:
        """What is known of the models."""
        state = await self.tagging.provider_state()
        return ProviderSeen(
            state.state != "open", frozenset(each.model for each in state.aside if each.reason == "gone")
        )

    # The parser's statements.

    async def insert(self, number: int, user: int, body: str | None, tags: tuple[str, ...]) -> int:
        """A post as the parser inserts it."""
        values = {
            "user_id": user,
            "channel_id": user,
            "telegram_message_id": number,
            "text": body,
            "posted_at": START + timedelta(minutes=number),
            "tags": list(tags) or None,
        }
        async with self.database.write() as session:
            return (await session.execute(insert(Post).values(values).returning(Post.id))).scalar_one()

    async def edit(self, post_id: int, body: str | None) -> None:
        """The parser's UPDATE. The trigger takes the time of the database's clock: this one's is put in its place."""
        async with self.database.write() as session:
            await session.execute(update(Post).where(Post.id == post_id).values(text=body))
            late = (Post.id == post_id, Post.requested_at > self.now)
            await session.execute(update(Post).where(*late).values(requested_at=self.now))

    async def delete(self, post_id: int) -> None:
        """The parser's DELETE."""
        async with self.database.write() as session:
            await session.execute(delete(Post).where(Post.id == post_id))

    # What services/tagging/worker.py does in a turn.

    async def claim(self, worker: Process) -> Plan:
        """Take what may go out, and hold it."""
        async with self.database.write() as session:
            under_way = [flight.request for flight in worker.flights]
            plan = await worker.dispatcher.plan(session, self.now, under_way, probe=self.probe_asked)
        self.probe_asked = self.probe_asked and not plan.requests
        for request in plan.requests:
            worker.dispatcher.started(request)
            worker.flights.append(Flight(request, self.now))
        return plan

    async def record(self, worker: Process, answers: Sequence[tuple[Flight, Outcome]]) -> None:
        """Requests have ended: write what came of them."""
        group = [FinishedRequest(flight.request, self._call(flight, outcome)) for flight, outcome in answers]
        async with self.database.write() as session:
            recorded = await worker.recorder.record(session, group)
            worker.dispatcher.recorded(recorded)
            if recorded.tagged and worker.maybe_waiting:
                await provider_waits.provider_is_back(session)
        worker.maybe_waiting = worker.maybe_waiting and not recorded.tagged
        worker.flights = [flight for flight in worker.flights if flight not in [each for each, _ in answers]]

    def _call(self, flight: Flight, outcome: Outcome) -> Call:
        answered = flight.request.models[0] if outcome.kind in {Kind.TAGGED, Kind.MALFORMED, Kind.EMPTY} else None
        seconds = (self.now - flight.began).total_seconds()
        request = Request((flight.post.text or "",), flight.request.models)
        return Call(request, (outcome,), answered, None, seconds, Usage(), self.now)

    async def renew(self, worker: Process) -> None:
        """Prolong the leases of what is in flight."""
        async with self.database.write() as session:
            await leases.renew(session, [flight.post for flight in worker.flights], self.now + LEASE)
