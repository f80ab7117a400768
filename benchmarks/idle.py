"""Bots that do nothing, and whom they would talk to: what they ask the database, and how much memory they have."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from benchmarks import databases
from benchmarks.memory import Memory, memory
from benchmarks.processes import ROOT, ending
from benchmarks.standins.process import Provider, Telegram, provider, telegram
from benchmarks.standins.provider import Plan
from benchmarks.standins.telegram import TOKEN
from tests.end_to_end.process import running_bot

#: So long a process does nothing before its memory is looked at; a worker works so long.
REST_SECONDS = 10.0
#: Statements are counted for so long, a whole number of the scheduler's ticks, when things have settled.
SETTLE_SECONDS, COUNT_SECONDS = 5.0, 30.0
TRANSACTION_WORDS = ("BEGIN", "COMMIT", "ROLLBACK")


@dataclass(frozen=True, slots=True)
class Servers:
    """Whom the bot talks to."""

    telegram: Telegram
    provider: Provider

    def settings(self, url: str, **more: str) -> dict[str, str]:
        """The defaults, but for where things are."""
        return {
            "PATH": os.environ["PATH"],
            "BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": self.telegram.url,
            "DATABASE_URL": url,
            "OPENROUTER_BASE_URL": self.provider.base_url,
            "OPENROUTER_API_KEY": "sk-benchmark",
            "OPENROUTER_MODEL": "one/model",
            "HTTP_PORT": "0",
            "LOG_FORMAT": "json",
            **more,
        }


@asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """The stand-ins while the block runs."""
    async with telegram() as bot_api, provider() as models:
        await models.plan(Plan(latency=0.05))
        yield Servers(bot_api, models)


async def rested(turns: asyncio.Semaphore, settings: dict[str, str], *arguments: str) -> Memory:
    """Start `python -m bot` or another command in its turn, and look at its memory after a rest."""
    async with AsyncExitStack() as stack:
        async with turns:
            bot = await stack.enter_async_context(running_bot(settings, *arguments))
            await bot.logs("started")
        await asyncio.sleep(REST_SECONDS)
        found = memory(bot.pid)
        if await bot.stop() != 0:
            raise RuntimeError(f"it did not end in order: {bot.log[-2000:]}")
    return found


@dataclass(frozen=True, slots=True)
class Idle:
    """What a bot that does nothing asks a second (queries; with BEGIN where it is seen; transactions as PostgreSQL
    counts them), and its memory."""

    queries: float
    statements: float
    transactions: float
    memory: Memory


async def watched(turns: asyncio.Semaphore, settings: dict[str, str]) -> Idle:
    """Start a bot whose statements are counted in its turn, and watch it do nothing."""
    url = settings["DATABASE_URL"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "statements"
        async with AsyncExitStack() as stack:
            async with turns:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "benchmarks.counted_bot", str(file)),
                    cwd=ROOT,
                    env=settings,
                    stderr=asyncio.subprocess.PIPE,
                )
                await stack.enter_async_context(ending(process))
                assert process.stderr is not None
                await _until_started(process.stderr)
            await asyncio.sleep(SETTLE_SECONDS)
            began, before = time.monotonic(), await _transactions(url)
            await asyncio.sleep(COUNT_SECONDS)
            transactions = await _transactions(url) - before
            queries, statements = _count(file.read_text(), began)
            found = memory(process.pid)
    return Idle(queries / COUNT_SECONDS, statements / COUNT_SECONDS, transactions / COUNT_SECONDS, found)


async def _until_started(log: asyncio.StreamReader) -> None:
    async for line in log:
        if b'"event": "started"' in line:
            return
    raise RuntimeError("it did not start")


def _count(written: str, began: float) -> tuple[int, int]:
    lines = [line.split("\t", 1) for line in written.splitlines()]
    statements = [statement for at, statement in lines if began <= float(at) < began + COUNT_SECONDS]
    return sum(not statement.startswith(TRANSACTION_WORDS) for statement in statements), len(statements)


async def _transactions(url: str) -> int:
    """How many have ended in a database of PostgreSQL's, by its statistics; of SQLite nobody counts them."""
    if url.startswith("sqlite"):
        return 0
    connection = await asyncpg.connect(databases.POSTGRES, timeout=10)
    try:
        query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"
        return int(await connection.fetchval(query, url.rpartition("/")[2]))
    finally:
        await connection.close()
