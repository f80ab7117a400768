"""Twenty requests a minute, ten posts each: posts tagged in a minute, and requests refused."""

from __future__ import annotations

import asyncio
import time

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.standins.process import provider
from benchmarks.standins.provider import Plan
from benchmarks.workers import settings, working

PER_MINUTE, BATCH = 20, 10
MINUTE = 60.0
#: The provider looks on for longer than the minute that is counted: refusals come after it, if they do.
WATCHED_SECONDS = 75.0


async def run() -> list[Figure]:
    """More than a minute of it, against a provider that refuses the 21st request in any minute."""
    async with provider() as server, databases.sqlite() as url:
        await databases.fill(url, 2 * PER_MINUTE * BATCH)
        await server.plan(Plan(per_minute=PER_MINUTE))
        more = {"TAGGING_BATCH_SIZE": str(BATCH), "TAGGING_REQUESTS_PER_MINUTE": str(PER_MINUTE)}
        async with working(settings(url, server, **more)):
            await server.until(requests=1)
            first = (await server.report()).first_arrival
            await asyncio.sleep(first + WATCHED_SECONDS - time.monotonic())
            report = await server.report()
    in_a_minute = sum(posts for at, _, posts in report.served if at < first + MINUTE)
    return [
        Figure(
            name="posts in a minute",
            value=in_a_minute,
            unit="",
            floor=f"{PER_MINUTE * BATCH}: what the provider allows",
            at_least=PER_MINUTE * BATCH,
            counted=f"answered in the {MINUTE:g} s after the first request; TAGGING_REQUESTS_PER_MINUTE={PER_MINUTE}, "
            f"TAGGING_BATCH_SIZE={BATCH}",
        ),
        Figure(
            name="requests refused (429)",
            value=100 * report.outcomes.get("limited", 0) / report.requests,
            unit="%",
            floor="0",
            at_most=2,
            counted=f"of {report.requests} requests in {WATCHED_SECONDS:g} s; the provider refuses the "
            f"{PER_MINUTE + 1}st in any {MINUTE:g} s",
        ),
    ]
