"""An idle bot: memory and start-up, compared with importing its libraries."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from statistics import median

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.memory import rss
from benchmarks.processes import ending
from benchmarks.standins.process import Provider, Telegram, provider, telegram
from benchmarks.standins.provider import Plan
from benchmarks.telegram_bot import settings
from tests.end_to_end.process import running_bot

LIBRARIES = "aiogram, sqlalchemy, sqlalchemy.ext.asyncio, aiohttp, apscheduler.schedulers.asyncio"
TIMES = 3
#: A bot rests for so long before its memory is read.
REST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """Seconds until a process was ready, and its resident megabytes."""

    seconds: float
    megabytes: float


async def run() -> list[Figure]:
    """The imports and the bot's start in turn; medians."""
    async with telegram() as bot_api, provider() as models, databases.sqlite() as file, databases.postgresql() as url:
        await models.plan(Plan(latency=0.05))
        for each in (file, url):
            await databases.fill(each, 0)
        imports, starts = [], []
        for _ in range(TIMES):
            imports.append(await _imports())
            starts.append(await _start(file, bot_api, models))
        on_postgresql = await _start(url, bot_api, models)
        worker = await _start(file, bot_api, models, "worker")
    return _figures(imports, starts, on_postgresql, worker)


async def _imports() -> Started:
    program = f"import {LIBRARIES}\nprint(flush=True)\nimport time\ntime.sleep(60)"
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with ending(process):
        await process.stdout.readline()
        return Started(time.monotonic() - began, rss(process.pid))


async def _start(url: str, bot_api: Telegram, models: Provider, *arguments: str) -> Started:
    before = (await bot_api.report()).polls
    began = time.monotonic()
    async with running_bot(settings(url, bot_api, models), *arguments) as bot:
        if arguments:
            await bot.logs("started")
        else:
            await bot_api.until(polls=before + 1)
        seconds = time.monotonic() - began
        await asyncio.sleep(REST_SECONDS)
        found = Started(seconds, rss(bot.pid))
        if await bot.stop() != 0:
            raise RuntimeError(f"the bot did not end in order: {bot.log[-2000:]}")
    return found


def _figures(imports: list[Started], starts: list[Started], on_postgresql: Started, worker: Started) -> list[Figure]:
    seconds, floor = median(each.seconds for each in imports), median(each.megabytes for each in imports)
    idle = median(each.megabytes for each in starts)
    ratio = median(bot.seconds / each.seconds for bot, each in zip(starts, imports, strict=True))
    return [
        Figure(name="imports", value=seconds, unit="s", counted=f"a process with: import {LIBRARIES}"),
        Figure(
            name="start to first poll, to the imports",
            value=ratio,
            unit="×",
            floor=f"imports {seconds:.2f} s",
            at_most=1.4,
            counted=f"from the start of the process to getUpdates, SQLite; median of {TIMES} pairs",
        ),
        Figure(
            name="memory of an idle bot, SQLite, to the imports",
            value=idle / floor,
            unit="×",
            floor=f"imports {floor:.0f} MB",
            at_most=1.25,
            counted=f"{idle:.0f} MB resident after {REST_SECONDS:.0f} s, HTTP on; median of {TIMES}",
        ),
        Figure(
            name="memory of an idle bot, PostgreSQL, to the imports",
            value=on_postgresql.megabytes / floor,
            unit="×",
            floor=f"imports {floor:.0f} MB",
            at_most=1.25,
            counted=f"{on_postgresql.megabytes:.0f} MB, once",
        ),
        Figure(
            name="memory of an idle worker, SQLite",
            value=worker.megabytes,
            unit="MB",
            counted="a process that only tags, once",
        ),
    ]
