"""A stand-in as a process, and the harness's connection to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import aiohttp

from benchmarks.processes import ROOT, ending
from benchmarks.standins import telegram as telegram_stand_in
from benchmarks.standins.provider import Plan, Report

#: Between two looks at what a stand-in counts.
LOOK_SECONDS = 0.02


class StandIn:
    """The control of a stand-in that runs elsewhere. `url` has no trailing slash."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._http = http

    async def call(self, name: str, body: object = None) -> Any:
        """A call of its control: the answer's value."""
        async with self._http.post(f"{self.url}/bench/{name}", json=body) as answer:
            return await answer.json()

    async def until(self, seconds: float = 300, look_seconds: float = LOOK_SECONDS, **counts: int) -> None:
        """Wait until it has counted so many of each."""
        async with asyncio.timeout(seconds):
            while True:
                counted = await self.call("counts")
                if all(counted[name] >= wanted for name, wanted in counts.items()):
                    return
                await asyncio.sleep(look_seconds)


class Provider(StandIn):
    """The provider's stand-in."""

    @property
    def base_url(self) -> str:
        """OPENROUTER_BASE_URL."""
        return f"{self.url}/api/v1"

    async def plan(self, plan: Plan) -> None:
        """What is to happen from now on; what happened before is forgotten."""
        await self.call("plan", asdict(plan))

    async def release(self) -> None:
        """Let go what was held."""
        await self.call("release")

    async def report(self) -> Report:
        """What happened."""
        return Report(**await self.call("report"))


@asynccontextmanager
async def running_stand_in(module: str) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """`benchmarks.standins.<module>` while the block runs: its address, and a session to talk to it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"benchmarks.standins.{module}", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with ending(process), aiohttp.ClientSession() as http:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}", http


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """A provider while the block runs."""
    async with running_stand_in("provider") as (url, http):
        yield Provider(url, http)


class Telegram(StandIn):
    """The Bot API's stand-in."""

    async def send(self, updates: int, people: int, text: str, *, first: int = 0) -> None:
        """Queue messages of `people` people in turn, beginning with person `first`."""
        await self.call("send", {"updates": updates, "people": people, "text": text, "first": first})

    async def report(self) -> telegram_stand_in.Report:
        """What happened since the last `send`."""
        return telegram_stand_in.Report(**await self.call("report"))


@asynccontextmanager
async def telegram() -> AsyncIterator[Telegram]:
    """A Bot API while the block runs."""
    async with running_stand_in("telegram") as (url, http):
        yield Telegram(url, http)
