"""What people and programs look at, and the claim, at 1,000,000 posts of 1,000 users, while 100 posts a second come.

Every question is asked as the product asks it, through a session of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from statistics import median
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.million_rows import BIGGEST, ORDINARY
from benchmarks.processes import ROOT, ending
from services.availability.budget import Pace
from services.availability.provider_status import ProviderWatch
from services.clock import utc_now
from services.library.api_queries import ApiQueries
from services.library.bot_queries import BotQueries
from services.metrics import MetricsReader
from services.notifications.tagging_alerts import AlertWatch
from storage import outbox
from storage.db.engine import Database
from storage.queue import queue, retry_requests
from storage.reads import lists

CHAIN = ("google/gemini-2.0-flash-exp:free",)
#: Each question is asked so often, or for so long.
TIMES, SECONDS = 60, 0.7
#: "A few milliseconds": for a user with some 800 posts, and for what is asked all the time. What administrators ask of
#: everybody's posts, and what happens once a day, has no target.
FEW_MS = 5.0
#: On a machine that is busy with other things, as many times what a row by its key takes there and then.
FEW_ROWS = 6.0
UNTARGETED = frozenset(
    {"/retry", "/stats all", "/retry, everybody's", "the daily retry", "the look at the alerts", "/metrics"}
)

Question = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds."""

    median: float
    p99: float


async def run() -> list[Figure]:
    """Both databases: filled at the same time, and asked one after the other."""
    async with databases.sqlite() as sqlite, databases.postgresql() as postgresql:
        await asyncio.gather(*map(_filled, (sqlite, postgresql)))
        return [*await _measure("SQLite", sqlite), *await _measure("PostgreSQL", postgresql)]


async def _filled(url: str) -> None:
    """Each by a process of its own."""
    command = (sys.executable, "-m", "benchmarks.million_rows", url)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    async with ending(process):
        if await process.wait() != 0:
            raise RuntimeError("a database was not filled")


async def _measure(name: str, url: str) -> list[Figure]:
    async with databases.opened(url) as database, _writer(url) as pace:

        def floor(user: int) -> Awaitable[Any]:
            return _read(database, lists.user_exists, user)

        figures = [await _of_a_user(name, *named, floor) for named in _of_users(database).items()]
        figures += [await _of_all(name, *named, floor) for named in _of_everybody(database).items()]
        return [*figures, _pace(name, await pace())]


def _of_users(database: Database) -> dict[str, Question]:
    overview, listing = BotQueries(database, utc_now), ApiQueries(database)
    half_a_year_ago = (utc_now() - timedelta(days=180)).isoformat()
    return {
        "/stats": overview.stats,
        "/failed": lambda user: overview.failed(user, 1),
        "/failed, last page": lambda user: overview.failed(user, 10**6),
        "/retry": lambda user: _undone(database, _retry, user),
        "API: tagging_stats": lambda user: listing.tagging_counts(user, 5),
        "API: posts": lambda user: listing.posts(user, limit=50),
        "API: posts, of half a year ago": lambda user: listing.posts(user, limit=50, before=half_a_year_ago),
        "API: posts, failed ones": lambda user: listing.posts(user, status="failed", limit=50),
        "API: posts, of a frequent tag": lambda user: listing.posts(user, tag="тема 0", limit=50),
        "API: posts, of a rare tag": lambda user: listing.posts(user, tag="тема 1990", limit=50),
        "API: channels": listing.channels,
        "API: tags": lambda user: listing.tags(user, 100),
    }


def _of_everybody(database: Database) -> dict[str, Question]:
    overview, listing = BotQueries(database, utc_now), ApiQueries(database)
    alerts = AlertWatch(database, CHAIN, {1}, 20.0, utc_now)
    provider = ProviderWatch(database, CHAIN, Pace(None), utc_now)
    return {
        "the claim of 10 posts": lambda user: _undone(database, _claim, user),
        "when the next post is due": lambda _: _read(database, queue.next_due_at, utc_now()),
        "/stats all": lambda _: overview.stats(None),
        "the provider's state": lambda _: provider.state(backlog=True),
        "/retry, everybody's": lambda _: _undone(database, _retry, None),
        "the daily retry": lambda _: _undone(database, _nightly),
        "API: users": lambda _: listing.users(after=0, limit=100, only=None),
        "API: a post": lambda user: listing.post(user * 997, None),
        "what is to be told": lambda _: _read(database, outbox.anything_due, utc_now()),
        "the look at the alerts": lambda _: alerts.check(),
        "/metrics": lambda _: MetricsReader(database, CHAIN, enabled=True, clock=utc_now).read(),
    }


async def _read(database: Database, statement: Callable[..., Awaitable[Any]], *values: Any) -> Any:
    async with database.read() as session:
        return await statement(session, *values)


async def _undone(database: Database, work: Callable[..., Awaitable[Any]], *values: Any) -> None:
    """What writes, without its commit: the next time finds the same."""
    engine = database.engine.execution_options(metka_write=True)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        await work(session, *values)
        await session.rollback()


async def _claim(session: AsyncSession, after_user: int) -> None:
    await queue.claim(session, limit=10, now=utc_now(), lease_seconds=60, token="t", after_user=after_user)


async def _retry(session: AsyncSession, user: int | None) -> None:
    await retry_requests.make_batch(session, user_id=user, telegram_id=1001, limit=50, force=False, now=utc_now())


async def _nightly(session: AsyncSession) -> None:
    await retry_requests.queue_nightly(session, 100, utc_now() - timedelta(days=7), utc_now())


async def _ask(users: tuple[int, ...], *questions: Question) -> list[Times]:
    """Each of the questions in turn, so that they meet the same machine. The first few times warm the caches."""
    taken: list[list[float]] = [[] for _ in questions]
    for user in users:
        for question in questions:
            await question(user)
    began = time.perf_counter()
    for user in islice(cycle(users), TIMES):
        for question, times in zip(questions, taken, strict=True):
            before = time.perf_counter()
            await question(user)
            times.append(1000 * (time.perf_counter() - before))
        if time.perf_counter() - began > SECONDS:
            break
    return [Times(median(times), sorted(times)[int(0.99 * len(times))]) for times in taken]


async def _of_a_user(name: str, what: str, question: Question, floor: Question) -> Figure:
    times, row = await _ask(ORDINARY, question, floor)
    (biggest,) = await _ask((BIGGEST,), question)
    return _figure(name, what, times, row, f"; of a user with 100,000 posts {biggest.median:.1f} ms")


async def _of_all(name: str, what: str, question: Question, floor: Question) -> Figure:
    times, row = await _ask(ORDINARY, question, floor)
    return _figure(name, what, times, row, "")


def _figure(name: str, what: str, times: Times, floor: Times, others: str) -> Figure:
    return Figure(
        name=f"{name}: {what}",
        value=times.median,
        unit="ms",
        floor=f"a row by its key {floor.median:.1f} ms",
        at_most=None if what in UNTARGETED else round(max(FEW_MS, FEW_ROWS * floor.median), 1),
        counted=f"median of {TIMES} times or {SECONDS:g} s, p99 {times.p99:.1f} ms{others}",
    )


@asynccontextmanager
async def _writer(url: str) -> AsyncIterator[Callable[[], Awaitable[tuple[float, float]]]]:
    """Posts come all the while; how many a second were inserted and tagged."""
    command = (sys.executable, "-m", "benchmarks.million_writer", url)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    orders, answers = cast("asyncio.StreamWriter", process.stdin), cast("asyncio.StreamReader", process.stdout)
    async with ending(process):
        await answers.readline()
        began = time.monotonic()

        async def pace() -> tuple[float, float]:
            orders.close()
            inserted, tagged = map(int, (await answers.readline()).split())
            seconds = time.monotonic() - began
            return inserted / seconds, tagged / seconds

        yield pace


def _pace(name: str, pace: tuple[float, float]) -> Figure:
    inserted, tagged = pace
    return Figure(
        name=f"{name}: posts written meanwhile",
        value=inserted,
        unit="posts/s",
        floor="100 posts/s are asked for",
        at_least=95,
        counted=f"in tens, by another process; {tagged:.0f} posts/s were claimed and tagged",
    )
