"""An export is imported in parts; whenever it is broken off, it goes on, and nothing is there twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, event, select

from services.ingest.imports import Import, ImportResult, Imports, ImportTakenError
from services.sources.base import Delivery, SourceChannel, SourcePost
from services.sources.export.file import ExportError, ExportFile, fingerprint
from storage.db.engine import Database
from storage.queue.claim import Priority
from storage.schema.source_tables import ImportRow
from storage.schema.tables import Channel, Post, User
from tests.services.sources.export.exports import CHANNEL, POSTED, a_channel, a_message, a_service, an_account, write

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ANNA, BEN = 1, 2
ACCOUNT = an_account(
    [
        a_channel(*(a_message(number, f"Post {number}") for number in range(1, 8)), a_service(8), a_message(9, "")),
        a_channel(a_service(1), type="personal_chat", id=6),
        a_channel(a_message(1), {}, a_message(2), type="private_group", id=7, name="Friends"),
    ]
)
EVERYTHING = ImportResult(
    13,
    new=10,
    without_text=1,
    skipped={"service": 2, "unreadable": 1},
    chats=2,
    held_chats={"private_group": 1},
    held_posts={"private_group": 2},
    last_chat=-7,
)


class World:
    """The use cases with a clock that can be set."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self.woken = 0
        self.imports = Imports(database, self._wake, lambda: self.now)

    def _wake(self) -> None:
        self.woken += 1

    async def begin(self, path: Path, user_id: int = ANNA) -> Import:
        return await self.imports.begin(user_id, fingerprint=fingerprint(path), file_name=path.name)

    async def run(self, path: Path, user_id: int = ANNA, part: int = 2) -> ImportResult:
        """From where it is to the end."""
        work = await self.begin(path, user_id)
        done = work.done
        async for step in self.imports.steps(work, ExportFile(path, max_delivery=part)):
            done = step
        await self.imports.finish(work)
        return done

    async def break_off(self, path: Path, after: int) -> None:
        """As a kill between two transactions."""
        work = await self.begin(path)
        async with aclosing(self.imports.steps(work, ExportFile(path, max_delivery=2))) as steps:
            async for done in steps:
                if done.messages >= after:
                    return

    async def posts(self) -> list[tuple[int | None, int, str | None]]:
        query = select(Channel.channel_id, Post.telegram_message_id, Post.text).join(Channel)
        async with self.database.read() as session:
            rows = await session.execute(query.order_by(Post.user_id, Post.id))
            return [(row[0], row[1], row[2]) for row in rows]

    async def rows(self) -> list[ImportRow]:
        async with self.database.read() as session:
            return list((await session.execute(select(ImportRow).order_by(ImportRow.id))).scalars())


@pytest.fixture
async def world(database: Database) -> World:
    async with database.write() as session:
        session.add_all([User(id=ANNA, telegram_id=11), User(id=BEN, telegram_id=12)])
    return World(database)


ALL_POSTS = [
    *((CHANNEL, number, f"Post {number}") for number in range(1, 8)),
    *((CHANNEL, 9, None), (-7, 1, "Some text"), (-7, 2, "Some text")),
]


async def test_all_of_it_is_stored_to_be_tagged_after_everything_else(world: World, tmp_path: Path) -> None:
    assert await world.run(write(tmp_path, ACCOUNT)) == EVERYTHING
    assert await world.posts() == ALL_POSTS
    async with world.database.read() as session:
        assert set((await session.execute(select(Post.work_class))).scalars()) == {Priority.BACKFILL}
    # Those of the private group wait for their user.
    assert world.woken == 4
    (row,) = await world.rows()
    assert (row.position, row.finished_at, row.error, row.file_name) == (13, NOW, None, "result.json")


async def test_the_same_file_twice_is_known(world: World, tmp_path: Path) -> None:
    path = write(tmp_path, ACCOUNT)
    await world.run(path)
    again = await world.run(path)
    assert (again.new, again.known, again.edited, again.without_text) == (0, 10, 0, 0)
    assert await world.posts() == ALL_POSTS
    assert (await world.run(path, BEN)).new == 10


@pytest.mark.parametrize("after", range(1, 14))
async def test_what_was_broken_off_goes_on_and_counts_as_one(after: int, world: World, tmp_path: Path) -> None:
    path = write(tmp_path, ACCOUNT)
    await world.break_off(path, after)
    before = (await world.begin(path)).done
    assert before.messages >= after
    assert await world.run(path, part=3) == EVERYTHING
    assert await world.posts() == ALL_POSTS
    assert len(await world.rows()) == 1


async def test_a_part_that_fails_leaves_nothing_of_itself(world: World, tmp_path: Path) -> None:
    """The posts and the position are of one transaction: here the second one's UPDATE fails."""
    path, seen = write(tmp_path, ACCOUNT), 0

    def fail(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal seen
        seen += statement.startswith("UPDATE metka_imports")
        if seen == 2:
            raise OSError("the plug was pulled")

    engine = world.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(OSError, match="plug"):
        await world.run(path)
    event.remove(engine, "before_cursor_execute", fail)
    assert len(await world.posts()) == (await world.begin(path)).done.messages == 2
    assert await world.run(path) == EVERYTHING
    assert await world.posts() == ALL_POSTS


async def test_an_edit_counts_by_when_it_was_made(world: World, tmp_path: Path) -> None:
    edits = {"newer": NOW + timedelta(minutes=1), "older": NOW - timedelta(minutes=1)}
    await world.run(write(tmp_path, a_channel(a_message(1, "old"), a_message(2, "old"))))
    world.now = NOW + timedelta(hours=1)
    messages = [
        a_message(number, text, edited_unixtime=str(int(edited.timestamp())))
        for number, (text, edited) in enumerate(edits.items(), start=1)
    ]
    done = await world.run(write(tmp_path, a_channel(*messages, a_message(3))))
    assert (done.new, done.edited, done.known) == (1, 1, 1)
    assert [text for _, _, text in await world.posts()] == ["newer", "old", "Some text"]


async def test_a_damaged_file_is_told_and_begins_anew(world: World, tmp_path: Path) -> None:
    whole = json.dumps(a_channel(*(a_message(number) for number in range(1, 6)))).encode()
    path = write(tmp_path, whole[:-30])
    for new in (4, 0):
        work = await world.begin(path)
        steps = world.imports.steps(work, ExportFile(path, max_delivery=3))
        assert [(done.new, done.messages) for done in (await anext(steps), await anext(steps))][-1] == (new, 4)
        with pytest.raises(ExportError, match="after 4 messages"):
            await anext(steps)
        await world.imports.finish(work, "damaged")
    assert [row.error for row in await world.rows()] == ["damaged", "damaged"]


async def test_two_at_the_same_import_do_not_count_twice(world: World, tmp_path: Path) -> None:
    path = write(tmp_path, ACCOUNT)
    first, second = await world.begin(path), await world.begin(path)
    assert first == second

    async def run(work: Import) -> ImportResult | None:
        done = None
        try:
            async for step in world.imports.steps(work, ExportFile(path, max_delivery=2)):
                done = step
        except ImportTakenError:
            return None
        return done

    results = await asyncio.gather(run(first), run(second))
    assert EVERYTHING in results
    assert None in results
    assert await world.run(path) == EVERYTHING
    assert await world.posts() == ALL_POSTS


async def test_a_user_who_is_deleted_ends_it(world: World, tmp_path: Path) -> None:
    path = write(tmp_path, ACCOUNT)
    work = await world.begin(path, BEN)
    async with world.database.write() as session:
        await session.execute(delete(User).where(User.id == BEN))
    with pytest.raises(ImportTakenError):
        async for _ in world.imports.steps(work, ExportFile(path)):
            pass


async def test_files_that_came_to_the_bot_are_not_the_commands(world: World, tmp_path: Path) -> None:
    path = write(tmp_path, ACCOUNT)
    for file_id in ("one", "two"):
        whose = {"telegram_id": 11, "chat_id": 11, "message_id": 5}
        await world.imports.receive(ANNA, file_id=file_id, file_name="x" * 500 + ".json", **whose)
    await world.begin(path)
    received = await world.imports.received()
    assert [(work.file_id, work.telegram_id, work.message_id) for work in received] == [("one", 11, 5), ("two", 11, 5)]
    assert (received[0].file_name or "").endswith("x.json")
    await world.imports.finish(received[0], "no\x00ne")
    assert [work.file_id for work in await world.imports.received()] == ["two"]


class Endless:
    """A source that stops for nobody."""

    async def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        while True:
            position += 1
            post = SourcePost(position, "x" * 10, datetime.fromtimestamp(POSTED, UTC))
            yield Delivery(SourceChannel(-5, None, "E"), [post], position)


async def test_a_cancelled_import_goes_on_where_it_stands(world: World, tmp_path: Path) -> None:
    """As at the end of a process."""
    path = write(tmp_path, ACCOUNT)
    work = await world.begin(path)

    async def run() -> None:
        async for _ in world.imports.steps(work, Endless()):
            await asyncio.sleep(0)

    task = asyncio.create_task(run())
    async with asyncio.timeout(30):
        while world.woken < 5:  # noqa: ASYNC110 - so many transactions
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stands = (await world.begin(path)).done
    assert stands.messages == stands.new == len(await world.posts()) >= 5


async def test_personal_chats_are_counted_each_once(world: World, tmp_path: Path) -> None:
    chats = [
        a_channel(*(a_message(number) for number in range(1, 6)), type="personal_chat", id=6),
        a_channel(a_message(1), type="private_supergroup", id=7),
        a_channel(*(a_message(number) for number in range(1, 6)), type="bot_chat", id=8),
        a_channel(a_message(1), type="private_group", id=9),
    ]
    path = write(tmp_path, an_account(chats))
    await world.break_off(path, 3)
    done = await world.run(path)
    assert (done.chats, done.personal) == (4, 2)
