"""A million posts: how long /stats takes while the bot tags, and how long the event loop stands still.

A running `python -m bot` is asked from outside: in the chat as the person with most posts, and over HTTP.
The event loop is watched by /healthz, which needs no database: its longest answer is the longest standstill.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from statistics import quantiles

import aiohttp

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.million_rows import BIGGEST, POSTS
from benchmarks.processes import ROOT
from benchmarks.standins.process import Provider, Telegram, provider, telegram
from benchmarks.standins.provider import Plan
from benchmarks.telegram_bot import api, settings
from tests.end_to_end.process import running_bot

ASKED = 200
#: 600 requests a minute of ten posts each: 100 posts a second. A search index of a million posts takes ten minutes.
TAGGING = {"TAGGING_REQUESTS_PER_MINUTE": "600", "TAGGING_BATCH_SIZE": "10", "SEARCH_INDEX": "off"}
#: The stand-in numbers people from 0, the benchmark's users from 1.
PERSON = BIGGEST - 1
COMMANDS = ("/failed", "/channels", "/post 500000", "/retry 1000", "/feed", "/export csv", "/export jsonl")
USER = f"/users/{BIGGEST}"
READ = (f"{USER}/tags", f"{USER}/channels", f"{USER}/posts?limit=1000", f"{USER}/posts.ndjson", "/users?limit=1000")
#: An export of the biggest user's 100,000 posts has ended by then.
EXPORT_SECONDS = 15.0


async def run() -> list[Figure]:
    """First /stats, then everything else that reads many posts."""
    async with telegram() as bot_api, provider() as models:
        await models.plan(Plan(latency=0.5))
        async with databases.sqlite() as url:
            figures = await _measure("SQLite", url, bot_api, models)
        async with databases.postgresql() as url:
            return figures + await _measure("PostgreSQL", url, bot_api, models)


async def _measure(name: str, url: str, bot_api: Telegram, models: Provider) -> list[Figure]:
    await _fill(url)
    polls, posts = (await bot_api.report()).polls, (await models.report()).posts
    async with running_bot(settings(url, bot_api, models, **TAGGING)) as bot, aiohttp.ClientSession() as http:
        address = await api(bot)
        await bot_api.until(polls=polls + 1)
        await _ask(bot_api, "/stats")
        began = time.monotonic()
        async with _watched(http, address) as during_stats:
            taken = [await _ask(bot_api, "/stats") for _ in range(ASKED)]
        tagged = ((await models.report()).posts - posts) / (time.monotonic() - began)
        async with _watched(http, address) as during_all:
            for command in COMMANDS:
                await _ask(bot_api, command)
            for path in READ:
                async with http.get(address + path) as answer:
                    answer.raise_for_status()
                    await answer.read()
            await asyncio.sleep(EXPORT_SECONDS)
    return _figures(name, taken, tagged, [*during_stats, *during_all])


async def _fill(url: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.million_rows", url, cwd=ROOT)
    if await process.wait() != 0:
        raise RuntimeError("the million posts could not be made")


async def _ask(bot_api: Telegram, text: str) -> float:
    """Seconds from a message to its first answer."""
    await bot_api.send(1, 1, text, first=PERSON)
    await bot_api.until(messages=1, look_seconds=0.002)
    report = await bot_api.report()
    return report.first_message - report.sent_at


@asynccontextmanager
async def _watched(http: aiohttp.ClientSession, address: str) -> AsyncIterator[list[float]]:
    """Ask /healthz without a break while the block runs; the seconds of each answer."""
    taken: list[float] = []

    async def watch() -> None:
        while True:
            began = time.monotonic()
            async with http.get(f"{address}/healthz") as answer:
                await answer.read()
            taken.append(time.monotonic() - began)
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    try:
        yield taken
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _figures(name: str, stats: list[float], tagged: float, healthz: list[float]) -> list[Figure]:
    parts = quantiles(stats, n=100)
    return [
        Figure(
            name=f"/stats, p99, {name}",
            value=1000 * parts[98],
            unit="ms",
            at_most=30,
            counted=f"{ASKED} times, one after another; {POSTS:,} posts, 100,000 of them this person's",
        ),
        Figure(name=f"/stats, median, {name}", value=1000 * parts[49], unit="ms", counted="the same"),
        Figure(
            name=f"posts tagged meanwhile, {name}",
            value=tagged,
            unit="posts/s",
            floor="100 posts/s are allowed",
            counted="by the same process, ten posts a request",
        ),
        Figure(
            name=f"longest standstill of the event loop, {name}",
            value=1000 * max(healthz),
            unit="ms",
            at_most=50,
            counted=f"longest of {len(healthz):,} answers of /healthz, during /stats, {', '.join((*COMMANDS, *READ))}",
        ),
    ]
