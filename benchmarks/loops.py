"""Programs that make the same requests as the bot: the bare loop, and peers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from benchmarks.processes import PEERS_PYTHON, ROOT, cpu_seconds, ending
from benchmarks.standins.process import Provider
from benchmarks.standins.provider import Plan
from benchmarks.workers import CONCURRENCY, Run

#: LiteLLM would ask the internet for a list of prices.
ENVIRONMENT = {"PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
#: Between two looks at the processor time: what comes after the last one is lost.
LOOK_SECONDS = 0.02


async def bare(provider: Provider, example: dict[str, Any], posts: int, plan: Plan) -> Run:
    """The bare aiohttp loop, from the release of its first answers to its last answer."""
    command = (sys.executable, "-m", "benchmarks.bare", provider.base_url, str(posts), str(CONCURRENCY))
    return await _timed(provider, example, posts, plan, command)


async def litellm(provider: Provider, example: dict[str, Any], posts: int, plan: Plan) -> Run | None:
    """LiteLLM's Router, timed alike; None when it is not installed."""
    if not PEERS_PYTHON.exists():
        return None
    program = "benchmarks.peers.litellm_router"
    command = (str(PEERS_PYTHON), "-m", program, provider.base_url, str(posts), str(CONCURRENCY))
    return await _timed(provider, example, posts, plan, command)


async def _timed(provider: Provider, example: dict[str, Any], posts: int, plan: Plan, command: tuple[str, ...]) -> Run:
    await provider.plan(plan)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=ENVIRONMENT, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdin is not None
    async with ending(process):
        process.stdin.write(json.dumps(example).encode())
        process.stdin.close()
        await provider.until(requests=CONCURRENCY)
        before = cpu_seconds(process.pid)
        await provider.release()
        used = before
        while process.returncode is None:
            used = _last_cpu(process.pid, used)
            await asyncio.sleep(LOOK_SECONDS)
    report = await provider.report()
    return Run(posts, report.last_answer - report.released_at, used - before, report)


def _last_cpu(pid: int, known: float) -> float:
    try:
        return cpu_seconds(pid)
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return known
