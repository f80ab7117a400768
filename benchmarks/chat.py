"""Updates a second through the whole stack (/stats, a small database), to a bare aiogram bot's with one handler."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.processes import ROOT, cpu_seconds, ending
from benchmarks.standins.process import Telegram, telegram
from benchmarks.standins.telegram import TOKEN
from tests.end_to_end.process import running_bot

#: So many people, each sending so few that nobody is throttled.
PEOPLE, UPDATES, POSTS = 300, 1200, 5000
TIMES = 2


@dataclass(frozen=True, slots=True)
class Run:
    """Updates answered a second, the bot's processor time an update, and the stand-in's."""

    per_second: float
    cpu_ms: float
    stand_in_cpu_ms: float


async def run() -> list[Figure]:
    """Each twice in turn, since a bot takes long to start; medians."""
    ours, bare = [], []
    async with databases.sqlite() as url:
        await databases.fill(url, POSTS, users=PEOPLE, tagging_status="success", tags=["новости", "город"])
        for _ in range(TIMES):
            ours.append(await _run_ours(url))
            bare.append(await _run_bare())
    return _figures(ours, bare)


async def _run_ours(url: str) -> Run:
    async with telegram() as server, running_bot(_settings(url, server)) as bot:
        return await _measure(server, bot.pid)


def _settings(url: str, server: Telegram) -> dict[str, str]:
    # Without a key nothing is tagged: the chat alone is measured.
    return {
        "PATH": os.environ["PATH"],
        "BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": server.url,
        "DATABASE_URL": url,
        "HTTP_PORT": "0",
        "LOG_FORMAT": "json",
    }


async def _run_bare() -> Run:
    async with telegram() as server, _bare_bot(server) as bot:
        return await _measure(server, bot.pid)


@asynccontextmanager
async def _bare_bot(server: Telegram) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "benchmarks.bare_bot", server.url, TOKEN)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    async with ending(process):
        yield process


async def _measure(server: Telegram, pid: int) -> Run:
    await server.until(polls=1)
    # Everybody once: their first message is another matter than those that follow.
    await server.send(PEOPLE, PEOPLE, "/stats")
    await server.until(messages=PEOPLE)
    before = cpu_seconds(pid)
    await server.send(UPDATES, PEOPLE, "/stats")
    await server.until(messages=UPDATES)
    used = cpu_seconds(pid) - before
    report = await server.report()
    seconds = report.last_message - report.sent_at
    return Run(UPDATES / seconds, 1000 * used / UPDATES, 1000 * report.cpu_seconds / UPDATES)


def _figures(ours: list[Run], bare: list[Run]) -> list[Figure]:
    speed, floor = median(one.per_second for one in ours), median(one.per_second for one in bare)
    ratio = median(a.per_second / b.per_second for a, b in zip(ours, bare, strict=True))
    cpu, floor_cpu = median(one.cpu_ms for one in ours), median(one.cpu_ms for one in bare)
    stand_in = median(one.stand_in_cpu_ms for one in bare)
    counted = (
        f"{UPDATES} times /stats of {PEOPLE} people who have written before, {POSTS} posts on SQLite, "
        f"from the first update to the last answer; median of {TIMES}"
    )
    return [
        Figure(name="ours", value=speed, unit="updates/s", floor=f"bare bot {floor:,.0f} updates/s", counted=counted),
        Figure(
            name="ours to a bare aiogram bot",
            value=ratio,
            unit="×",
            floor="1: one handler, a constant answer, no database",
            at_least=0.7,
            counted="the same updates right after ours; median of the pairs",
        ),
        Figure(
            name="CPU an update, ours",
            value=cpu,
            unit="ms",
            floor=f"bare bot {floor_cpu:.2f} ms",
            counted="processor time of the process, all threads; median",
        ),
        Figure(
            name="the stand-in's head-room",
            value=floor_cpu / stand_in,
            unit="×",
            floor="1: the stand-in would be what is measured",
            counted="the bare bot's processor time to the stand-in's own, for the same updates",
        ),
    ]
