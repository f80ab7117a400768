"""How long people wait for an answer of the bot's while 200 connections pound its HTTP API.

    .venv/bin/python -m benchmarks.api_load

The bot runs as a process of its own on SQLite, against the stand-ins of `sandbox`; so does the client that pounds.
25 people in turn send /stats (Telegram's own limits are kept), first undisturbed, then under load.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import time
from collections import Counter
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event

import aiohttp

from benchmarks import databases
from benchmarks.figures import Figure, figures_table
from sandbox.provider import ProviderSandbox
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate
from tests.end_to_end.process import Bot, environment, running_bot
from tests.storage.rows import add_posts, add_user

PEOPLE = 25
CONNECTIONS = 200
#: So long the load has been there before it is measured, and gone before anything else is.
SETTLE_SECONDS = 0.5
START_SECONDS = 30.0
PATHS = ("/users/1/posts/tagging_stats", "/users/1/posts?limit=100", "/healthz", "/no/such/path")


async def run() -> list[Figure]:
    """First undisturbed, then with each path pounded in turn."""
    async with databases.sqlite() as url:
        await _fill(url)
        telegram, provider = TelegramSandbox(), ProviderSandbox()
        async with serve(telegram.make_app()) as telegram.url, serve(provider.make_app()) as root:
            provider.url = f"{root}/api/v1"
            for number in range(1, PEOPLE + 1):
                telegram.add_user(1000 + number, "Anna", "ru")
            async with running_bot(environment(url, telegram, provider)) as bot:
                return await _compare(telegram, await _address(bot))


async def _fill(url: str) -> None:
    database = Database(parse_url(url))
    await migrate(database, now=utc_now())
    async with database.write() as session:
        for number in range(1, PEOPLE + 1):
            await add_user(session, number)
        await add_posts(session, 1, 500, tagging_status="success", tags=["a", "b"])
    await database.close()


async def _address(bot: Bot) -> str:
    await bot.logs("http_ready")
    line = next(line for line in bot.log.splitlines() if '"http_ready"' in line)
    return f"http://127.0.0.1:{json.loads(line)['port']}"


async def _compare(telegram: TelegramSandbox, root: str) -> list[Figure]:
    # Everybody's first message is another matter than those that follow.
    await _ask_all(telegram)
    figures = []
    for path in PATHS:
        alone = await _ask_all(telegram)
        pounded, answers = await _pounded(telegram, root + path)
        figures.append(_figure(path, alone, pounded, answers))
    return figures


def _figure(path: str, alone: list[float], pounded: list[float], answers: Counter[int]) -> Figure:
    return Figure(
        name=f"/stats while {path} is pounded",
        value=statistics.median(pounded),
        unit="ms",
        floor=f"undisturbed {statistics.median(alone):.1f} ms",
        counted=f"median of {PEOPLE} people, one after another; {CONNECTIONS} connections, which got "
        f"{', '.join(f'{count} × {status}' for status, count in sorted(answers.items()))}",
    )


async def _ask_all(telegram: TelegramSandbox) -> list[float]:
    """Milliseconds, sorted."""
    times = []
    for who in range(1001, 1001 + PEOPLE):
        before, began = len(telegram.from_bot(who)), time.perf_counter()
        telegram.send_text(who, "/stats")
        await telegram.wait_for(lambda who=who, before=before: len(telegram.from_bot(who)) > before, 60)  # type: ignore[misc]
        times.append((time.perf_counter() - began) * 1000)
        # 30 messages a second to all chats together are allowed.
        await asyncio.sleep(0.05)
    return sorted(times)


async def _pounded(telegram: TelegramSandbox, url: str) -> tuple[list[float], Counter[int]]:
    context = multiprocessing.get_context("spawn")
    started, stop, answers = context.Event(), context.Event(), context.Queue()
    client = context.Process(target=pound, args=(url, started, stop, answers))
    client.start()
    await asyncio.to_thread(started.wait, START_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS)
    times = await _ask_all(telegram)
    stop.set()
    counted = await asyncio.to_thread(answers.get)
    client.join()
    await asyncio.sleep(SETTLE_SECONDS)
    return times, counted


def pound(url: str, started: Event, stop: Event, answers: Queue[Counter[int]]) -> None:
    """Ask as fast as answers come, on all connections, until `stop`; then tell how often each status came."""
    answers.put(asyncio.run(_pound(url, started, stop)))


async def _pound(url: str, started: Event, stop: Event) -> Counter[int]:
    counted: Counter[int] = Counter()

    async def one(http: aiohttp.ClientSession) -> None:
        while not stop.is_set():
            async with http.get(url) as answer:
                await answer.read()
                counted[answer.status] += 1
                started.set()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as http:
        await asyncio.gather(*(one(http) for _ in range(CONNECTIONS)))
    return counted


if __name__ == "__main__":
    print(figures_table("api_load", asyncio.run(run())))
