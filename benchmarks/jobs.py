"""Procrastinate's no-op jobs on a PostgreSQL of ours, for comparison."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from benchmarks import databases
from benchmarks.processes import PEERS_PYTHON, ROOT, ending
from benchmarks.workers import CONCURRENCY


async def per_second(jobs: int, processes: int) -> float | None:
    """Jobs a second by so many workers, timed from when all stand ready; None when it is not installed."""
    if not PEERS_PYTHON.exists():
        return None
    async with databases.postgresql() as url, AsyncExitStack() as stack:
        await (await _started(url, "defer", jobs)).wait()
        started = [await _started(url, "work", CONCURRENCY) for _ in range(processes)]
        workers = [await stack.enter_async_context(ending(process)) for process in started]
        for worker in workers:
            assert worker.stdout is not None
            await worker.stdout.readline()
        began = time.monotonic()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(b"\n")
        await asyncio.gather(*(worker.wait() for worker in workers))
        return jobs / (time.monotonic() - began)


async def _started(url: str, what: str, number: int) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        str(PEERS_PYTHON),
        *("-m", "benchmarks.peers.procrastinate_jobs", url, what, str(number)),
        cwd=ROOT,
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
    )
