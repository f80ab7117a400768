"""SQLite by aiosqlite: who waits for whom, and what a transaction sees."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import func, select, update
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db import sqlite
from storage.db.database_file import FileLostError
from storage.db.engine import Database, is_unavailable
from storage.schema.tables import Post
from tests.storage.rows import add_posts, add_user


@pytest.fixture
def backend() -> str:
    """SQLite only."""
    return "sqlite"


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 3)
    return database


async def count(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(Post))).scalar_one()


async def test_a_long_read_keeps_nobody_waiting(filled: Database) -> None:
    """Neither the event loop, nor other readers, nor a writer."""
    began, end = Event(), Event()

    def wait() -> int:
        began.set()
        return end.wait(60)

    async def read_long() -> None:
        async with filled.read() as session:
            raw = await (await session.connection()).get_raw_connection()
            await raw.driver_connection.create_function("wait", 0, wait)  # type: ignore[union-attr]
            await session.execute(sql("SELECT wait()"))

    reading = asyncio.create_task(read_long())
    try:
        assert await asyncio.to_thread(began.wait, 60)
        async with filled.write() as session:
            await add_posts(session, 1, 1, first=4)
        async with filled.read() as session:
            assert await count(session) == 4
        assert not reading.done()
    finally:
        end.set()
        await reading


async def test_a_reader_sees_one_moment(filled: Database) -> None:
    """What is committed meanwhile is seen by the next transaction."""
    async with filled.read() as reader:
        assert await count(reader) == 3
        async with filled.write() as writer:
            await add_posts(writer, 1, 1, first=4)
        assert await count(reader) == 3
    async with filled.read() as reader:
        assert await count(reader) == 4


async def test_writers_come_one_after_the_other(filled: Database) -> None:
    """A writer that reads first loses no other's change, and none fails with "database is locked"."""

    async def add_one() -> None:
        async with filled.write() as session:
            attempts = (await session.execute(select(Post.tagging_attempts).where(Post.id == 1))).scalar_one() or 0
            await session.execute(update(Post).where(Post.id == 1).values(tagging_attempts=attempts + 1))

    await asyncio.gather(*(add_one() for _ in range(20)))
    async with filled.read() as session:
        assert (await session.execute(select(Post.tagging_attempts).where(Post.id == 1))).scalar_one() == 20


async def test_another_programs_transaction_is_waited_for(filled: Database) -> None:
    with closing(sqlite3.connect(str(filled.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM posts WHERE id = 1")

        async def change() -> int:
            async with filled.write() as session:
                return await count(session)

        waiting = asyncio.create_task(change())
        async with filled.read() as session:
            assert await count(session) == 3
        other.execute("COMMIT")
        assert await waiting == 2


async def test_a_lock_that_does_not_end_is_a_database_that_is_away(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.01)
    impatient = Database(filled.url)
    with closing(sqlite3.connect(str(filled.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DBAPIError) as error:
            async with impatient.write():
                pass
    assert is_unavailable(error.value)
    async with impatient.write() as session:
        assert await count(session) == 3
    await impatient.close()


async def test_a_cancelled_writer_changes_nothing_and_lets_others_write(filled: Database) -> None:
    wrote = asyncio.Event()

    async def write() -> None:
        async with filled.write() as session:
            await session.execute(update(Post).values(tagging_status="failed"))
            wrote.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await wrote.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with filled.write() as session:
        assert set((await session.execute(select(Post.tagging_status))).scalars()) == {"pending"}


async def test_foreign_keys_are_enforced(filled: Database) -> None:
    with pytest.raises(IntegrityError):
        async with filled.write() as session:
            await add_posts(session, 99, 1, first=9)


async def test_a_file_that_cannot_be_opened_is_a_database_that_is_away(filled: Database) -> None:
    """And it is opened again as soon as that can be done."""
    await filled.close()
    with _moved_away(Path(str(filled.url.database))), pytest.raises(FileLostError) as error:
        async with filled.read() as session:
            await count(session)
    assert is_unavailable(error.value)
    async with filled.read() as session:
        assert await count(session) == 3


@contextmanager
def _moved_away(path: Path) -> Iterator[None]:
    away = path.with_suffix(".away")
    path.rename(away)
    path.mkdir()
    yield
    path.rmdir()
    away.rename(path)
