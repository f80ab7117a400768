"""Latency 50 ms, ten in flight, batch 1, no faults: how near the whole comes to what the latency alone takes."""

from __future__ import annotations

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.standins.process import provider
from benchmarks.standins.provider import Plan
from benchmarks.workers import CONCURRENCY, settings, working

POSTS, LATENCY = 2000, 0.05


async def run() -> list[Figure]:
    """One backlog, measured at the provider."""
    async with provider() as server, databases.sqlite() as url:
        await databases.fill(url, POSTS)
        await server.plan(Plan(latency=LATENCY))
        async with working(settings(url, server, TAGGING_BATCH_SIZE="1")):
            await server.until(answered=POSTS)
            report = await server.report()
    seconds = report.last_answer - report.first_arrival
    floor = POSTS * report.mean_latency / CONCURRENCY
    return [
        Figure(
            name="first request to last answer, to the latency's own time",
            value=seconds / floor,
            unit="×",
            floor=f"{POSTS} × {1000 * report.mean_latency:.1f} ms ÷ {CONCURRENCY} = {floor:.2f} s",
            at_most=1.12,
            counted=f"{POSTS} posts on SQLite, {CONCURRENCY} in flight, batch 1; both times measured by the provider",
        ),
        Figure(
            name="posts a second",
            value=POSTS / seconds,
            unit="posts/s",
            floor=f"{CONCURRENCY / report.mean_latency:.0f} posts/s",
            counted="the same run",
        ),
    ]
