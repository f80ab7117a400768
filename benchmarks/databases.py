"""Databases for the bot to work on, filled beforehand and read afterwards."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import func, insert, make_url, select
from sqlalchemy import text as sql

from benchmarks.figures import UnavailableError
from benchmarks.posts import marker, tags_of, text_of
from services.clock import utc_now
from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate
from storage.schema.tables import Channel, Post, User

POSTGRES = os.environ.get("METKA_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
USERS = 20
#: Telegram's id of user n is so much more.
TELEGRAM_IDS_FROM = 1000
#: Between two looks at whether everything is stored.
LOOK_SECONDS = 0.02


@asynccontextmanager
async def sqlite() -> AsyncIterator[str]:
    """The address of a file that does not exist yet."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'metka.db'}"


@asynccontextmanager
async def postgresql() -> AsyncIterator[str]:
    """The address of an empty database.

    Raises:
        UnavailableError: no server at METKA_TEST_POSTGRES.
    """
    name = f"metka_bench_{uuid4().hex[:12]}"
    try:
        await _server(f"CREATE DATABASE {name}")
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise UnavailableError(f"no PostgreSQL at METKA_TEST_POSTGRES ({type(error).__name__})") from error
    try:
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        await _server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def statement_seconds(url: str) -> float:
    """How long PostgreSQL has executed statements in this database, all sessions together (that have ended)."""
    name = make_url(url).database
    return 0.001 * float(await _server("SELECT active_time FROM pg_stat_database WHERE datname = $1", name))


async def _server(statement: str, *values: object) -> Any:
    """A statement outside of the database that is measured: the first value it gives."""
    connection = await asyncpg.connect(POSTGRES, timeout=10)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A connection of the harness's own."""
    database = Database(parse_url(url))
    try:
        yield database
    finally:
        await database.close()


async def fill(url: str, posts: int, *, users: int = USERS, **values: Any) -> None:
    """Migrate, and store people, a channel each, and posts 1…`posts`, spread over them; `values` are the posts'."""
    now = utc_now()
    async with opened(url) as database:
        await migrate(database, now=now)
        async with database.write() as session:
            numbers = range(1, users + 1)
            people = [{"id": n, "telegram_id": TELEGRAM_IDS_FROM + n, "first_name": f"U{n}"} for n in numbers]
            await session.execute(insert(User), people)
            channels = [{"id": n, "channel_username": f"channel{n}", "channel_title": f"C{n}"} for n in numbers]
            await session.execute(insert(Channel), channels)
            rows = [_post(n, users) | {"posted_at": now - timedelta(seconds=posts - n), **values} for n in range(posts)]
            if rows:
                await session.execute(insert(Post), rows)
            if not database.is_sqlite:
                # The rows above have ids of their own; those of the bot follow.
                for table in ("users", "channels", "posts"):
                    await session.execute(
                        sql(f"SELECT setval('{table}_id_seq', (SELECT max(id) + 1 FROM {table}), false)")
                    )


def _post(index: int, users: int) -> dict[str, Any]:
    owner, number = index % users + 1, index + 1
    return {
        "id": number,
        "user_id": owner,
        "channel_id": owner,
        "telegram_message_id": number,
        "text": text_of(number),
    }


@dataclass(frozen=True, slots=True)
class Stored:
    """What a database holds: posts by status, tagged posts whose tags are not their own, posts tried twice or more."""

    statuses: Counter[str]
    wrong: int
    repeated: int

    @property
    def total(self) -> int:
        """All posts."""
        return self.statuses.total()

    @property
    def share_tagged(self) -> float:
        """Percent of them."""
        return 100 * self.statuses["success"] / max(1, self.total)


async def stored(url: str) -> Stored:
    """Look at every post."""
    async with opened(url) as database, database.read() as session:
        rows = (await session.execute(select(Post.id, Post.tagging_status, Post.tags, Post.tagging_attempts))).all()
    wrong = sum(1 for number, _, tags, _ in rows if tags and not _are_own(number, tags))
    return Stored(
        Counter(status or "pending" for _, status, _, _ in rows),
        wrong,
        sum(1 for _, _, _, attempts in rows if (attempts or 0) > 1),
    )


def _are_own(number: int, tags: Sequence[str]) -> bool:
    return list(tags) == tags_of(marker(number))


async def until_settled(url: str, seconds: float = 300) -> None:
    """Wait until no post is pending or retrying any more."""
    unsettled = select(Post.id).where(func.coalesce(Post.tagging_status, "pending").in_(("pending", "retrying")))
    async with opened(url) as database, asyncio.timeout(seconds):
        while True:
            async with database.read() as session:
                if (await session.execute(unsettled.limit(1))).first() is None:
                    return
            await asyncio.sleep(LOOK_SECONDS)
