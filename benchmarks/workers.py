"""Ours: `python -m bot worker` as processes on a database that is full of work."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks.databases import until_settled
from benchmarks.processes import cpu_seconds
from benchmarks.standins.process import Provider
from benchmarks.standins.provider import Plan, Report
from tests.end_to_end.process import Bot, running_bot

MODEL, FALLBACKS = "one/model", ("two/model", "three/model")
CONCURRENCY = 10


def settings(url: str, provider: Provider, **more: str) -> dict[str, str]:
    """The defaults, but for where things are, the models' names, and no pacing."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "OPENROUTER_BASE_URL": provider.base_url,
        "OPENROUTER_API_KEY": "sk-benchmark",
        "OPENROUTER_MODEL": MODEL,
        "OPENROUTER_FALLBACK_MODELS": ",".join(FALLBACKS),
        "TAGGING_REQUESTS_PER_MINUTE": "0",
        "TAGGING_CONCURRENCY": str(CONCURRENCY),
        "LOG_FORMAT": "json",
        **more,
    }


@asynccontextmanager
async def working(environment: dict[str, str], processes: int = 1) -> AsyncIterator[list[Bot]]:
    """So many workers while the block runs; they end in order, or it is an error."""
    async with AsyncExitStack() as stack:
        bots = [await stack.enter_async_context(running_bot(environment, "worker")) for _ in range(processes)]
        yield bots
        for bot in bots:
            if await bot.stop() != 0:
                raise RuntimeError(f"a worker did not end in order: {bot.log[-2000:]}")


@dataclass(frozen=True, slots=True)
class Run:
    """How long a backlog took, the processor time of whoever worked it off, and what the provider saw."""

    posts: int
    seconds: float
    cpu_seconds: float
    report: Report

    @property
    def per_second(self) -> float:
        """Posts a second."""
        return self.posts / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time a post."""
        return 1000 * self.cpu_seconds / self.posts


async def from_the_gun(
    provider: Provider, url: str, posts: int, plan: Plan, more: dict[str, str], processes: int = 1
) -> Run:
    """Work off the backlog of `url`, timed from when all processes stand ready to when everything is stored.

    `more` are settings, TAGGING_BATCH_SIZE among them. The provider holds its first answers until each process has all
    its requests in flight: starting is not timed.
    """
    await provider.plan(plan)
    batch = int(more["TAGGING_BATCH_SIZE"])
    async with working(settings(url, provider, **more), processes) as bots:
        await provider.until(requests=min(CONCURRENCY * processes, posts // batch))
        pids = [bot.pid for bot in bots]
        before, began = sum(map(cpu_seconds, pids)), time.monotonic()
        await provider.release()
        # Looking into the database would cost it time: only when little can be left to store.
        await provider.until(posts=posts)
        await until_settled(url)
        seconds = time.monotonic() - began
        used = sum(map(cpu_seconds, pids)) - before
        report = await provider.report()
    return Run(posts, seconds, used, report)
