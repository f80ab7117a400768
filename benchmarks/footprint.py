"""What a bot that does nothing costs: memory, the time until it listens, queries; with posts waiting and without."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks import backlog, databases
from benchmarks.figures import Figure
from benchmarks.idle import COUNT_SECONDS, REST_SECONDS, Idle, Servers, rested, servers, watched
from benchmarks.memory import Memory, memory
from benchmarks.processes import ending
from tests.end_to_end.process import running_bot

LIBRARIES = "aiogram, sqlalchemy, sqlalchemy.ext.asyncio, aiohttp, apscheduler.schedulers.asyncio"
ALL_LIBRARIES = f"{LIBRARIES}, fastapi, uvicorn, pydantic_settings, prometheus_client, click, structlog"
TIMES = 2
BACKLOG = 1_000_000
#: So many backlogs are made, or processes started, at a time: all at once they would wait too long for processors.
TURNS = 2
DATABASES = ("SQLite", "PostgreSQL")


@dataclass(frozen=True, slots=True)
class Imported:
    """A process that has imported libraries, and does nothing else."""

    seconds: float
    memory: Memory


@dataclass(frozen=True, slots=True)
class Floors:
    """The libraries that no bot can do without, and all; and in turn with the first: seconds until the first poll."""

    libraries: list[Imported]
    all_libraries: Imported
    polls: list[float]

    @property
    def megabytes(self) -> float:
        """Resident after the imports of the first."""
        return median(each.memory.rss for each in self.libraries)


@dataclass(frozen=True, slots=True)
class Found:
    """By database: the idle bot, and the memory of one with a backlog. And a worker's, idle and at work."""

    idle: dict[str, Idle]
    with_backlog: dict[str, Memory]
    worker: Memory
    busy_worker: Memory


async def run() -> list[Figure]:
    """First what is timed, one process at a time; then all that rests, side by side."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(servers())
        kinds = (databases.sqlite, databases.postgresql) * 3
        urls = [await stack.enter_async_context(kind()) for kind in kinds]
        # One after another: Alembic migrates one database at a time.
        for url in urls:
            await databases.fill(url, 0)
        floors = await _floors(world, urls[0])
        found = await _found(world, urls)
    return [*_time_figures(floors), *_memory_figures(floors, found), *_query_figures(found)]


async def _floors(world: Servers, url: str) -> Floors:
    libraries, polls = [], []
    for _ in range(TIMES):
        libraries.append(await _imported(LIBRARIES))
        polls.append(await _seconds_to_first_poll(world, url))
    return Floors(libraries, await _imported(ALL_LIBRARIES), polls)


async def _imported(names: str) -> Imported:
    program = f"import {names}\nprint(flush=True)\nimport time\ntime.sleep(60)"
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with ending(process):
        await process.stdout.readline()
        return Imported(time.monotonic() - began, memory(process.pid))


async def _seconds_to_first_poll(world: Servers, url: str) -> float:
    before = (await world.telegram.report()).polls
    began = time.monotonic()
    async with running_bot(world.settings(url)) as bot:
        await world.telegram.until(polls=before + 1)
        seconds = time.monotonic() - began
        await bot.logs("started")
        await bot.stop()
    return seconds


async def _found(world: Servers, urls: list[str]) -> Found:
    """While statements are counted, which takes half a minute, backlogs are made and rested on."""
    *resting, at_work, workers = urls
    turns = asyncio.Semaphore(TURNS)
    async with asyncio.TaskGroup() as group:
        # In this order they have their turns.
        idle = [group.create_task(watched(turns, world.settings(url))) for url in resting[:2]]
        large = [group.create_task(_with_backlog(turns, world.settings(url), backlog.RESTING)) for url in resting[2:]]
        unpaced = world.settings(at_work, TAGGING_REQUESTS_PER_MINUTE="0")
        busy_worker = group.create_task(_with_backlog(turns, unpaced, backlog.PENDING, "worker"))
        worker = group.create_task(rested(turns, world.settings(workers), "worker"))
    return Found(
        {name: task.result() for name, task in zip(DATABASES, idle, strict=True)},
        {name: task.result() for name, task in zip(DATABASES, large, strict=True)},
        worker.result(),
        busy_worker.result(),
    )


async def _with_backlog(turns: asyncio.Semaphore, settings: dict[str, str], state: str, *arguments: str) -> Memory:
    # In a thread with a loop of its own: on SQLite the statements run in the event loop, half a minute long.
    async with turns:
        await asyncio.to_thread(asyncio.run, backlog.add(settings["DATABASE_URL"], BACKLOG, state))
    return await rested(turns, settings, *arguments)


def _time_figures(floors: Floors) -> list[Figure]:
    floor, wide = median(each.seconds for each in floors.libraries), floors.all_libraries.seconds
    polls = median(floors.polls)
    ratio = median(poll / each.seconds for poll, each in zip(floors.polls, floors.libraries, strict=True))
    counted = f"from the start of the process to getUpdates at the stand-in, on SQLite; median of {TIMES}"
    return [
        Figure(name="imports", value=floor, unit="s", counted=f"a process with: import {LIBRARIES}"),
        Figure(name="start to first poll", value=polls, unit="s", floor=f"imports {floor:.2f} s", counted=counted),
        Figure(
            name="start to first poll, to the imports",
            value=ratio,
            unit="×",
            floor="1: nothing but the imports",
            at_most=1.4,
            counted=f"{counted} of the pairs. With FastAPI and the other libraries the imports take {wide:.2f} s",
        ),
    ]


def _memory_figures(floors: Floors, found: Found) -> list[Figure]:
    wide = floors.all_libraries.memory.rss
    imports = Figure(
        name="memory of the imports",
        value=floors.megabytes,
        unit="MB",
        counted=f"resident; with FastAPI and the other libraries {wide:.0f} MB",
    )
    bots = [figure for name in DATABASES for figure in _bot_figures(name, floors, found)]
    at_work = f"{REST_SECONDS:.0f} s after the start, at work on {BACKLOG:,} pending posts, SQLite"
    return [
        imports,
        *bots,
        _worker_figure("worker, idle", found.worker, f"{REST_SECONDS:.0f} s after the start, PostgreSQL"),
        _worker_figure("worker, with a backlog", found.busy_worker, at_work),
    ]


def _bot_figures(name: str, floors: Floors, found: Found) -> list[Figure]:
    small, large, floor = found.idle[name].memory, found.with_backlog[name], floors.megabytes
    seen = f"resident, HTTP on, after {COUNT_SECONDS:.0f} s; {small.pss:.0f} MB when shared pages are divided"
    return [
        Figure(
            name=f"idle bot, {name}, to the imports",
            value=small.rss / floor,
            unit="×",
            floor=f"imports {floor:.0f} MB",
            at_most=1.25,
            counted=f"{small.rss:.0f} MB {seen}. To the imports with FastAPI and the other libraries: "
            f"{small.rss / floors.all_libraries.memory.rss:.2f} ×",
        ),
        Figure(
            name=f"idle bot, {name}, with a backlog",
            value=large.rss / small.rss,
            unit="×",
            floor="1: the same bot without",
            at_most=1.05,
            counted=f"{BACKLOG:,} posts, half failed, half waiting: {large.rss:.0f} MB after {REST_SECONDS:.0f} s",
        ),
    ]


def _worker_figure(name: str, found: Memory, when: str) -> Figure:
    counted = f"resident, {when}; {found.pss:.0f} MB when shared pages are divided"
    return Figure(name=name, value=found.rss, unit="MB", at_most=110, counted=counted)


def _query_figures(found: Found) -> list[Figure]:
    window = f"every statement in {COUNT_SECONDS:.0f} s at the default settings, but what opens and ends transactions"
    seen = {
        "SQLite": f"with BEGIN {found.idle['SQLite'].statements:.2f}",
        "PostgreSQL": f"its statistics know of {found.idle['PostgreSQL'].transactions:.2f} transactions a second, "
        "checks of connections among them",
    }
    return [
        Figure(
            name=f"queries of an idle bot, {name}",
            value=found.idle[name].queries,
            unit="a second",
            floor="1",
            at_most=1,
            counted=f"{window}; {seen[name]}",
        )
        for name in DATABASES
    ]
