"""A new post of an idle bot: the time until its tags are stored, less the model's own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import quantiles

import aiohttp
from sqlalchemy import select

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.posts import text_of
from benchmarks.standins.process import Provider, Telegram, provider, telegram
from benchmarks.standins.provider import Plan
from benchmarks.telegram_bot import api, settings
from storage.schema.tables import Post
from tests.end_to_end.process import running_bot

POSTS, LATENCY = 200, 0.05
#: Between two looks at the post's row.
LOOK_SECONDS = 0.001


async def run() -> list[Figure]:
    """One post after another on each database."""
    async with telegram() as bot_api, provider() as models:
        await models.plan(Plan(latency=LATENCY))
        async with databases.sqlite() as url:
            on_sqlite = await _measure(url, bot_api, models)
        async with databases.postgresql() as url:
            on_postgresql = await _measure(url, bot_api, models)
    return [*_figures("SQLite", on_sqlite), *_figures("PostgreSQL", on_postgresql)]


async def _measure(url: str, bot_api: Telegram, models: Provider) -> list[float]:
    """Seconds for each post."""
    await databases.fill(url, 0)
    environment = settings(url, bot_api, models, TAGGING_REQUESTS_PER_MINUTE="0")
    async with running_bot(environment) as bot, aiohttp.ClientSession() as http, _tagged(url) as tagged:
        address = f"{await api(bot)}/users/1/posts"
        taken = []
        for number in range(1, POSTS + 1):
            body = {
                "channel_username": "fresh",
                "telegram_message_id": number,
                "text": text_of(number),
                "posted_at": "2026-01-01T00:00:00Z",
            }
            began = time.monotonic()
            async with http.post(address, json={"posts": [body]}) as answer:
                answer.raise_for_status()
            while not await tagged(number):  # noqa: ASYNC110 - another process tags
                await asyncio.sleep(LOOK_SECONDS)
            taken.append(time.monotonic() - began)
        report = await models.report()
    return [seconds - report.mean_latency for seconds in taken]


@asynccontextmanager
async def _tagged(url: str) -> AsyncIterator[Callable[[int], Awaitable[bool]]]:
    async with databases.opened(url) as database:

        async def ask(number: int) -> bool:
            query = select(Post.tagging_status).where(Post.telegram_message_id == number)
            async with database.read() as session:
                return (await session.execute(query)).scalar() == "success"

        yield ask


def _figures(name: str, seconds: list[float]) -> list[Figure]:
    parts = quantiles(seconds, n=100)
    counted = f"{POSTS} posts, one after another, by POST /users/1/posts; less the model's {1000 * LATENCY:g} ms"
    return [
        Figure(name=f"p99, {name}", value=1000 * parts[98], unit="ms", at_most=50, counted=counted),
        Figure(name=f"median, {name}", value=1000 * parts[49], unit="ms", counted="the same posts"),
    ]
