"""No faults, batch 1: how near the whole comes to the time that the model's latency alone takes."""

from __future__ import annotations

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.standins.process import Provider, provider
from benchmarks.standins.provider import Plan
from benchmarks.workers import CONCURRENCY, settings, working

#: Posts, seconds of latency, requests in flight, and the target.
RUNS = ((2000, 0.05, CONCURRENCY, 1.12), (1000, 1.0, 100, 1.10))


async def run() -> list[Figure]:
    """Each backlog, measured at the provider."""
    async with provider() as server:
        return [figure for each in RUNS for figure in await _measure(server, *each)]


async def _measure(server: Provider, posts: int, latency: float, in_flight: int, at_most: float) -> list[Figure]:
    async with databases.sqlite() as url:
        await databases.fill(url, posts)
        await server.plan(Plan(latency=latency))
        more = {"TAGGING_BATCH_SIZE": "1", "TAGGING_CONCURRENCY": str(in_flight)}
        async with working(settings(url, server, **more)):
            await server.until(answered=posts)
            report = await server.report()
    seconds = report.last_answer - report.first_arrival
    floor = posts * report.mean_latency / in_flight
    name = f"{1000 * latency:g} ms, {in_flight} in flight"
    return [
        Figure(
            name=f"first request to last answer, to the latency's own time, {name}",
            value=seconds / floor,
            unit="×",
            floor=f"{posts} × {1000 * report.mean_latency:.1f} ms ÷ {in_flight} = {floor:.2f} s",
            at_most=at_most,
            counted=f"{posts} posts on SQLite, batch 1; both times measured by the provider",
        ),
        Figure(
            name=f"posts a second, {name}",
            value=posts / seconds,
            unit="posts/s",
            floor=f"{in_flight / report.mean_latency:.0f} posts/s",
            counted="the same run",
        ),
    ]
