"""A free account's 50 requests on days of 20, 300 and 450 posts: the real dispatcher and recorder at simulated time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from typing import Any

from sqlalchemy import insert

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.posts import text_of
from services.availability.quota_planner import RESERVE
from services.availability.rate_limit import FREE_SCOPE, RateLimit
from services.llm.client import Call, Request
from services.llm.outcomes import Kind, Outcome, Usage
from services.tagging.dispatcher import Dispatcher
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy
from services.tagging.tagging_request import FinishedRequest, TaggingRequest
from storage.db.engine import Database
from storage.migration.migrate import migrate
from storage.queue import limits
from storage.schema.tables import Channel, Post, User

CHAIN, QUOTA, BATCH = ("free/model:free",), 50, 10
DAY = datetime(2026, 3, 3, tzinfo=UTC)
ENDS = DAY + timedelta(days=1)
REQUEST = timedelta(seconds=2)
CHANNELS = 10
#: Posts of a newsroom in each hour from 07 to 24, relative to each other.
HOURS = (3, 5, 7, 8, 8, 8, 7, 7, 7, 7, 7, 7, 6, 5, 4, 3, 2)
FIRST_HOUR = 7
#: A worker looks at least so often.
TICK = timedelta(seconds=300)


@dataclass(slots=True)
class Outcomes:
    """Each post's minutes from its arrival to its tags, posts that missed the day, requests, and those that failed."""

    minutes: list[float] = field(default_factory=list)
    missed: int = 0
    requests: int = 0
    failed: int = 0

    @property
    def waited(self) -> int:
        """Posts that waited for anything but the request itself and the rate limit."""
        return sum(minutes > 0.2 for minutes in self.minutes)


def newsroom_day(posts: int, seed: int, began: datetime = DAY) -> list[datetime]:
    """When posts arrive."""
    random = Random(seed)
    hours = random.choices(range(FIRST_HOUR, 24), HOURS, k=posts)
    return sorted(began + timedelta(hours=hour + random.random()) for hour in hours)


async def run() -> list[Figure]:
    """Days without one before, and the same day again."""
    found = []
    for posts, seed in ((20, 1), (300, 2), (450, 3)):
        for is_known in (False, True):
            found += _figures(posts, await _replayed(posts, seed, is_known=is_known), is_known=is_known)
    found += _figures(300, await _replayed(300, 4, is_known=True, faults=0.15), is_known=True, faults=True)
    return found


async def _replayed(posts: int, seed: int, *, is_known: bool, faults: float = 0.0) -> Outcomes:
    async with databases.sqlite() as url, databases.opened(url) as database:
        await migrate(database, now=DAY)
        return await Replay(database, seed, faults).day(posts, yesterday=posts if is_known else 0)


class Replay:
    """One day on a migrated database without rows."""

    def __init__(self, database: Database, seed: int, faults: float = 0.0) -> None:
        self.now = DAY
        self._database = database
        self._seed = seed
        self._faults = faults
        self._random = Random(seed)
        rate_limit, policy = RateLimit(None), Policy()
        self._recorder = Recorder(CHAIN, policy, rate_limit, frozenset(), lambda: self.now, Random(seed))
        self._dispatcher = Dispatcher(
            self._recorder,
            CHAIN,
            policy,
            rate_limit,
            concurrency=10,
            batch_size=BATCH,
            lease_seconds=300,
            probe_seconds=65,
            sends_models=lambda: True,
            monotonic=self._seconds,
        )
        self._arrived: dict[int, datetime] = {}
        self._found = Outcomes()

    async def day(self, posts: int, *, yesterday: int) -> Outcomes:
        """`yesterday`: posts that the day before had."""
        before = newsroom_day(yesterday, self._seed + 1000, DAY - timedelta(days=1))
        await self._begin(before)
        coming = newsroom_day(posts, self._seed)
        while self.now < ENDS:
            due = [at for at in coming if at <= self.now]
            coming = coming[len(due) :]
            await self._add(due)
            wait = await self._turn()
            next_turn = self.now + min(TICK, timedelta(seconds=wait)) if wait is not None else ENDS
            self.now = max(self.now, min([next_turn, *coming[:1]]))
        self._found.missed = len(self._arrived)
        return self._found

    def _seconds(self) -> float:
        return self.now.timestamp()

    async def _begin(self, before: Sequence[datetime]) -> None:
        async with self._database.write() as session:
            session.add(User(id=1, telegram_id=1, first_name="U"))
            names = range(1, CHANNELS + 1)
            await session.execute(insert(Channel), [{"id": n, "channel_username": f"channel{n}"} for n in names])
            if before:
                done = {"tagging_status": "success", "tags": ["a"]}
                await session.execute(insert(Post), [_row(-n, at) | done for n, at in enumerate(before, start=1)])
            await limits.ensure(session, [FREE_SCOPE])
            await limits.learn(session, FREE_SCOPE, day_limit=QUOTA, day_limit_stated=True)

    async def _add(self, arrived: Sequence[datetime]) -> None:
        if not arrived:
            return
        first = len(self._found.minutes) + len(self._arrived) + 1
        rows = [_row(number, at) for number, at in enumerate(arrived, start=first)]
        self._arrived.update({row["id"]: row["posted_at"] for row in rows})
        async with self._database.write() as session:
            await session.execute(insert(Post), rows)

    async def _turn(self) -> float | None:
        """A turn of the worker, and the request that it starts to its end."""
        async with self._database.write() as session:
            plan = await self._dispatcher.plan(session, self.now, [], probe=False)
        for request in plan.requests:
            self._dispatcher.started(request)
            self.now += REQUEST
            await self._end(request)
        return plan.wait

    async def _end(self, request: TaggingRequest) -> None:
        self._found.requests += 1
        is_fault = self._random.random() < self._faults
        self._found.failed += is_fault
        fault = Outcome(Kind.SERVER_ERROR, "HTTP 503: the provider failed")
        outcomes = tuple(fault if is_fault else Outcome(Kind.TAGGED, tags=(f"t{post.id}",)) for post in request.posts)
        asked = Request(tuple(post.text or "" for post in request.posts), request.models)
        call = Call(asked, outcomes, None if is_fault else asked.model, None, 2.0, Usage(), self.now)
        async with self._database.write() as session:
            self._dispatcher.recorded(await self._recorder.record(session, [FinishedRequest(request, call)]))
        if not is_fault and self.now < ENDS:
            for post in request.posts:
                waited = self.now - self._arrived.pop(post.id)
                self._found.minutes.append(waited.total_seconds() / 60)


def _row(number: int, at: datetime) -> dict[str, Any]:
    return {
        "id": number,
        "user_id": 1,
        "channel_id": abs(number) % CHANNELS + 1,
        "telegram_message_id": number,
        "text": text_of(abs(number)) + ("" if number > 0 else " yesterday"),
        "posted_at": at,
        "parsed_at": at,
    }


def _figures(posts: int, found: Outcomes, *, is_known: bool, faults: bool = False) -> list[Figure]:
    name = f"{posts} posts{', the day before alike' if is_known else ''}{', 15 % of requests fail' if faults else ''}"
    counted = f"{QUOTA} requests a day, {RESERVE} of them in reserve, {CHANNELS} channels, 07–24 h, simulated time"
    # 450 posts fill every batch of 45 requests: on a first day the first posts have gone alone.
    all_day = None if (posts == 450 and not is_known) or faults else 0
    # The reserve is free for the last half minute.
    requests = QUOTA if posts == 450 or faults else QUOTA - RESERVE
    figures = [
        Figure(name=f"missed the day: {name}", value=found.missed, unit="posts", counted=counted, at_most=all_day),
        Figure(name=f"requests: {name}", value=found.requests, unit="", counted=counted, at_most=requests),
    ]
    if posts == 20:
        return [*figures, Figure(name=f"waited: {name}", value=found.waited, unit="posts", counted=counted, at_most=0)]
    wait = median(found.minutes)
    most = 12 if posts == 300 and not faults else None
    return [*figures, Figure(name=f"median wait: {name}", value=wait, unit="min", counted=counted, at_most=most)]
