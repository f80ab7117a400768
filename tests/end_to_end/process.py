"""The real program as a process, beside the stand-ins."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox

ROOT = Path(__file__).parents[2]
ADMIN, USER, STRANGER = 1001, 1002, 1003


def environment(url: str, telegram: TelegramSandbox, provider: ProviderSandbox, **more: str) -> dict[str, str]:
    """Settings for a quick bot."""
    return {
        "PATH": os.environ["PATH"],
        "BOT_TOKEN": telegram.token,
        "TELEGRAM_API_URL": telegram.url,
        "ADMIN_IDS": str(ADMIN),
        "DATABASE_URL": url,
        "OPENROUTER_BASE_URL": provider.url,
        "OPENROUTER_API_KEY": "sk-secret-key",
        "OPENROUTER_MODEL": "one/model",
        "OPENROUTER_FALLBACK_MODELS": "two/model,three/model",
        "TAGGING_RETRY_DELAY": "0.05",
        "TAGGING_BACKOFF_SECONDS": "0.2",
        "TAGGING_REQUESTS_PER_MINUTE": "0",
        "TAGGING_BATCH_SIZE": "1",
        "LEASE_SECONDS": "3",
        "RETRY_INTERVAL_SECONDS": "0.5",
        "HTTP_PORT": "0",
        "LOG_FORMAT": "json",
        **more,
    }


async def run(settings: dict[str, str], *arguments: str) -> tuple[int, str]:
    """A command to its end: exit status, and what it printed on both streams."""
    process = await _start(settings, *arguments)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


class Bot:
    """A running bot."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._news = asyncio.Condition()
        self.pid = process.pid
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._lines.append(line.decode())
            async with self._news:
                self._news.notify_all()

    async def logs(self, event: str, seconds: float = 60) -> None:
        """Wait for a line of its log."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: f'"event": "{event}"' in self.log)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return "".join(self._lines)

    def send(self, number: signal.Signals) -> None:
        """A signal, without waiting for what comes of it."""
        self._process.send_signal(number)

    async def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        await self._process.wait()
        await self._reader

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it has ended; the exit status."""
        status = await self._process.wait()
        await self._reader
        return status


@asynccontextmanager
async def running_bot(settings: dict[str, str], *arguments: str) -> AsyncIterator[Bot]:
    """A bot (or another command of its) while the block runs; killed at the end if it has not ended."""
    bot = Bot(await _start(settings, *arguments))
    try:
        yield bot
    finally:
        if bot._process.returncode is None:
            await bot.kill()


async def readiness(bot: Bot) -> int:
    """The status of /readyz."""
    await bot.logs("http_ready")
    line = next(line for line in bot.log.splitlines() if '"http_ready"' in line)
    address = f"http://127.0.0.1:{json.loads(line)['port']}/readyz"
    async with aiohttp.ClientSession() as http, http.get(address) as answer:
        return answer.status


async def _start(settings: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=ROOT,
        env=settings,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
