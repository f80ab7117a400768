"""10,000 failed posts of 1,000 people: how fast the notices go out, and whether Telegram ever says 429."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

from sqlalchemy import func, insert, select

from benchmarks import databases
from benchmarks.databases import TELEGRAM_IDS_FROM, opened
from benchmarks.figures import Figure
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from storage.schema.tables import OutboxRow, Post
from tests.end_to_end.process import running_bot

POSTS, PEOPLE = 10_000, 1000
#: Telegram's own: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
LIMIT = 30
LOOK_SECONDS = 0.5


async def run() -> list[Figure]:
    """A bot that starts with all of them to tell."""
    telegram = TelegramSandbox()
    for number in range(1, PEOPLE + 1):
        telegram.add_user(TELEGRAM_IDS_FROM + number, "Anna", "ru", started=True)
    async with databases.sqlite() as url, serve(telegram.make_app()) as telegram.url:
        await databases.fill(url, POSTS, users=PEOPLE, tagging_status="failed", tagging_error="no healthy upstream")
        await _announce(url)
        async with running_bot(_settings(url, telegram)):
            await _until_told(url)
    return _figures(telegram)


async def _announce(url: str) -> None:
    now = utc_now()
    async with opened(url) as database, database.write() as session:
        rows = (await session.execute(select(Post.id, Post.user_id))).all()
        values = [{"kind": "failed", "telegram_id": TELEGRAM_IDS_FROM + user, "post_id": post} for post, user in rows]
        await session.execute(insert(OutboxRow), [{**value, "created_at": now, "ready_at": now} for value in values])


def _settings(url: str, telegram: TelegramSandbox) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "BOT_TOKEN": telegram.token,
        "TELEGRAM_API_URL": telegram.url,
        "DATABASE_URL": url,
        "HTTP_PORT": "0",
        "LOG_FORMAT": "json",
    }


async def _until_told(url: str, seconds: float = 300) -> None:
    untold = select(func.count()).select_from(OutboxRow).where(OutboxRow.done_at.is_(None))
    async with opened(url) as database, asyncio.timeout(seconds):
        while True:
            async with database.read() as session:
                if not (await session.execute(untold)).scalar_one():
                    return
            await asyncio.sleep(LOOK_SECONDS)


def _figures(telegram: TelegramSandbox) -> list[Figure]:
    sent = [call.at for call in telegram.calls if call.method.lower() == "sendmessage"]
    codes = Counter(error.code for error in telegram.errors)
    seconds = sent[-1] - sent[0]
    return [
        Figure(
            name="messages a second",
            value=(len(sent) - 1) / seconds,
            unit="messages/s",
            floor=f"{LIMIT}: Telegram's limit",
            at_least=0.9 * LIMIT,
            counted=f"{len(sent)} messages about {POSTS} posts to {PEOPLE} people (a person's posts in one), "
            f"{seconds:.0f} s from the first to the last",
        ),
        Figure(
            name="refused for flooding (429)",
            value=codes[429],
            unit="",
            floor="0",
            at_most=0,
            counted="the stand-in allows 30 messages in any second, 20 to one person in any 20 s",
        ),
    ]
