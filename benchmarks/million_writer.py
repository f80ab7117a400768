"""The parser and a worker beside what is measured: 100 posts a second come, and are claimed and tagged.

    python -m benchmarks.million_writer URL

It says `ready`, writes until its standard input ends, and says how many posts it has inserted and tagged.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import insert, update

from benchmarks.million_rows import POSTS, USERS
from benchmarks.posts import text_of
from services.clock import utc_now
from storage.db.engine import Database, parse_url
from storage.queue import claim
from storage.schema.tables import Post

#: So many at a time, so often.
AT_ONCE, EVERY_SECONDS = 10, 0.1


@dataclass(slots=True)
class Written:
    """So far."""

    inserted: int = 0
    tagged: int = 0


async def main(url: str) -> None:
    """Write until nobody wants more."""
    database, written = Database(parse_url(url)), Written()
    print("ready", flush=True)
    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(_at_a_pace(work, database, written)) for work in (_parse, _tag)]
        await asyncio.to_thread(sys.stdin.read)
        print(written.inserted, written.tagged, flush=True)
        for writer in writers:
            writer.cancel()
    await database.close()


async def _at_a_pace(
    work: Callable[[Database, Written], Awaitable[None]], database: Database, written: Written
) -> None:
    """Late ones are made up for: the pace is that of the clock."""
    began, times = time.monotonic(), 0
    while True:
        await work(database, written)
        times += 1
        await asyncio.sleep(max(0, began + times * EVERY_SECONDS - time.monotonic()))


async def _parse(database: Database, written: Written) -> None:
    numbers = range(POSTS + written.inserted, POSTS + written.inserted + AT_ONCE)
    rows = [
        {
            "user_id": number * 7 % USERS + 1,
            "channel_id": number % USERS + 1,
            "telegram_message_id": number,
            "text": text_of(number),
            "posted_at": utc_now(),
        }
        for number in numbers
    ]
    async with database.write() as session:
        await session.execute(insert(Post), rows)
    written.inserted += AT_ONCE


async def _tag(database: Database, written: Written) -> None:
    async with database.write() as session:
        posts = await claim.claim_posts(
            session, limit=AT_ONCE, now=utc_now(), lease_seconds=60, token=uuid4().hex, after_user=0
        )
    async with database.write() as session:
        for post in posts:
            tags = ["тема 1", f"тема {post.id % 1000}"]
            values = {"tagging_status": "success", "tags": tags, "lease_token": None, "lease_expires_at": None}
            await session.execute(update(Post).where(Post.id == post.id, Post.text == post.text).values(**values))
    written.tagged += len(posts)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
