"""One and four workers on one PostgreSQL, no latency, beside procrastinate's no-op jobs on the same server."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import databases, jobs, workers
from benchmarks.figures import Figure
from benchmarks.standins.process import Provider, provider
from benchmarks.standins.provider import Plan
from benchmarks.workers import CONCURRENCY

PROCESSES = (1, 4)
POSTS, JOBS = 1600, 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """Posts a second, and the part of the workers' time in which a statement of theirs was executed, in percent."""

    per_second: float
    database_share: float


async def run() -> list[Figure]:
    """For each number of processes: ten posts a request, procrastinate, and one post a request."""
    figures = []
    async with provider() as server:
        for processes in PROCESSES:
            batched = await _ours(server, processes, batch=10)
            peer = await jobs.per_second(JOBS, processes)
            single = await _ours(server, processes, batch=1)
            figures += _figures(processes, batched, single, peer)
    return figures


async def _ours(server: Provider, processes: int, batch: int) -> Measured:
    async with databases.postgresql() as url:
        await databases.fill(url, POSTS)
        before = await databases.statement_seconds(url)
        more = {"TAGGING_BATCH_SIZE": str(batch)}
        done = await workers.from_the_gun(server, url, POSTS, Plan(held=True), more, processes)
        statements = await databases.statement_seconds(url) - before
        found = await databases.stored(url)
    if found.wrong or found.statuses["success"] != POSTS:
        raise RuntimeError(f"not every post got its own tags: {found}")
    return Measured(done.per_second, 100 * statements / done.seconds / processes)


def _figures(processes: int, batched: Measured, single: Measured, peer: float | None) -> list[Figure]:
    name = f"{processes} worker{'s' if processes > 1 else ''}"
    floor = f"procrastinate {peer or 0:,.0f} jobs/s"
    counted = f"{POSTS} posts on PostgreSQL from all workers' readiness until all are stored"
    figures = []
    for batch, ours in ((10, batched), (1, single)):
        what = f"{name}, batch {batch}"
        figures += [
            Figure(name=f"posts a second, {what}", value=ours.per_second, unit="posts/s", floor=floor, counted=counted),
            Figure(
                name=f"to procrastinate's jobs, {what}",
                value=ours.per_second / peer if peer else None,
                unit="×",
                floor=floor,
                at_least=2,
                counted=f"{JOBS} jobs that do nothing, {processes} × concurrency {CONCURRENCY}; ours ask the provider",
            ),
            Figure(
                name=f"share of time in the database, {what}",
                value=ours.database_share,
                unit="%",
                counted="pg_stat_database.active_time ÷ (seconds × workers): statements under way, waits for locks too",
            ),
        ]
    return figures
