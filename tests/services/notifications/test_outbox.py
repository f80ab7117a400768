"""Which notices are due, for whom, and when."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.people import People
from services.notifications.outbox import Notice, Outbox
from storage import outbox as rows
from storage.db.engine import Database
from storage.schema.tables import Channel, OutboxRow, Post, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
OWNER, ADMIN = 7, 9


@dataclass
class World:
    """A user with failed posts, and a clock."""

    database: Database
    posts: list[int]
    now: datetime = NOW
    outbox: Outbox = field(init=False)
    people: People = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.database, lambda: self.now)
        self.people = People(self.database, frozenset(), lambda: self.now)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def do(self, work: Callable[[AsyncSession], Coroutine[Any, Any, Any]]) -> None:
        async with self.database.write() as session:
            await work(session)

    async def fail(self, *posts: int) -> None:
        async with self.database.write() as session:
            for post_id in posts:
                await rows.post_failed(session, post_id, OWNER, self.now)

    async def outcome(self, post_id: int) -> None:
        await self.do(lambda session: rows.outcome_ready(session, [post_id], self.now))

    async def wait_for(self, post_id: int, message_id: int | None) -> int:
        """The owner waits for a post's outcome in that message."""
        async with self.database.write() as session:
            return await rows.open_result(
                session,
                post_id=post_id,
                telegram_id=OWNER,
                chat_id=OWNER,
                message_id=message_id,
                now=self.now,
            )

    async def set_status(self, post_id: int, **values: Any) -> None:
        await self.do(lambda session: session.execute(update(Post).where(Post.id == post_id).values(**values)))

    async def open(self) -> int:
        async with self.database.read() as session:
            query = select(func.count()).select_from(OutboxRow).where(OutboxRow.done_at.is_(None))
            return (await session.execute(query)).scalar_one()


@pytest.fixture
async def world(database: Database) -> World:
    async with database.write() as session:
        user, channel = User(telegram_id=OWNER), Channel(channel_username="news")
        session.add_all([user, channel])
        await session.flush()
        posts = [
            Post(
                user_id=user.id,
                channel_id=channel.id,
                telegram_message_id=n,
                text="x",
                posted_at=NOW,
                tagging_status="failed",
            )
            for n in range(3)
        ]
        session.add_all(posts)
    return World(database, [post.id for post in posts])


async def test_failures_are_collected_into_one_notice(world: World) -> None:
    await world.fail(world.posts[0], world.posts[1])
    assert await world.outbox.due() == []
    world.wait(1)
    await world.fail(world.posts[2], world.posts[0])
    world.wait(1)
    [notice] = await world.outbox.due()
    assert (notice.kind, notice.telegram_id, notice.chat_id) == ("failed", OWNER, OWNER)
    assert notice.post_ids == tuple(world.posts)
    await world.outbox.sent(notice, 5)
    assert await world.open() == 0


async def test_the_next_notice_waits_a_minute(world: World) -> None:
    await world.fail(world.posts[0])
    world.wait(2)
    [first] = await world.outbox.due()
    await world.outbox.sent(first, 5)
    await world.fail(world.posts[1])
    world.wait(59)
    assert await world.outbox.due() == []
    world.wait(1)
    [second] = await world.outbox.due()
    assert second.post_ids == (world.posts[1],)


async def test_what_was_settled_meanwhile_is_not_told(world: World) -> None:
    tagged, kept, skipped = world.posts
    await world.fail(*world.posts)
    await world.set_status(tagged, tagging_status="success")
    await world.set_status(kept, tagging_status="success", tagging_error="old tags stand")
    await world.set_status(skipped, tagging_status="skipped")
    world.wait(2)
    [notice] = await world.outbox.due()
    assert notice.post_ids == (kept,)
    assert await world.open() == 1


async def test_who_awaits_the_result_gets_no_failure_notice(world: World) -> None:
    post_id = world.posts[0]
    await world.wait_for(post_id, 50)
    await world.fail(post_id)
    await world.outcome(post_id)
    [notice] = await world.outbox.due()
    assert (notice.kind, notice.message_id, notice.post_ids) == ("result", 50, (post_id,))


async def test_a_result_waits_for_its_message_but_not_for_ever(world: World) -> None:
    post_id = world.posts[0]
    attached = await world.wait_for(post_id, None)
    lost = await world.wait_for(post_id, None)
    await world.outcome(post_id)
    assert await world.outbox.due() == []
    await world.outbox.attach(attached, 51)
    assert [(n.ids, n.message_id) for n in await world.outbox.due()] == [((attached,), 51)]
    world.wait(5)
    assert [(n.ids, n.message_id) for n in await world.outbox.due()] == [((lost,), None)]


async def test_a_result_before_the_outcome_is_not_due(world: World) -> None:
    await world.wait_for(world.posts[0], 50)
    world.wait(600)
    assert await world.outbox.due() == []


async def result(world: World) -> Notice:
    await world.wait_for(world.posts[0], 50)
    await world.outcome(world.posts[0])
    [notice] = await world.outbox.due()
    return notice


async def test_a_result_that_is_not_final_waits_for_the_next_outcome(world: World) -> None:
    await world.outbox.sent(await result(world), None, final=False)
    assert await world.outbox.due() == []
    world.wait(1)
    await world.outcome(world.posts[0])
    [notice] = await world.outbox.due()
    assert notice.message_id == 50
    await world.outbox.sent(notice, 50)
    assert await world.open() == 0


@pytest.mark.parametrize("final", [True, False])
async def test_news_that_comes_while_a_result_is_sent_is_shown_too(world: World, final: bool) -> None:
    notice = await result(world)
    world.wait(1)
    await world.outcome(world.posts[0])
    assert await world.outbox.due() == []
    await world.outbox.sent(notice, 50, final=final)
    assert len(await world.outbox.due()) == 1


async def test_a_new_wish_in_the_same_message_replaces_the_old_one(world: World) -> None:
    await world.wait_for(world.posts[0], 50)
    newer = await world.wait_for(world.posts[0], 50)
    await world.outcome(world.posts[0])
    assert [notice.ids for notice in await world.outbox.due()] == [(newer,)]


async def test_a_notice_is_taken_by_one_sender_and_comes_again_if_that_dies(world: World) -> None:
    await result(world)
    assert await world.outbox.due() == []
    world.wait(60)
    assert len(await world.outbox.due()) == 1


async def test_a_postponed_notice_waits(world: World) -> None:
    await world.fail(world.posts[0])
    world.wait(2)
    [notice] = await world.outbox.due()
    await world.outbox.postpone(notice, world.now + timedelta(seconds=90))
    # A flood wait also delays the person's newer failures.
    await world.fail(world.posts[1])
    world.wait(89)
    assert await world.outbox.due() == []
    world.wait(1)
    [again] = await world.outbox.due()
    assert again.post_ids == (world.posts[0], world.posts[1])


async def test_what_cannot_be_delivered_is_done(world: World) -> None:
    await world.outbox.undeliverable(await result(world), "chat not found")
    assert await world.open() == 0


async def test_who_blocked_the_bot_is_told_when_they_write_again(world: World) -> None:
    await world.fail(world.posts[0])
    world.wait(2)
    [notice] = await world.outbox.due()
    await world.outbox.unreachable(notice)
    world.wait(600)
    assert await world.outbox.due() == []
    await world.people.seen(OWNER, language_code="ru", name="Анна", username=None)
    [again] = await world.outbox.due()
    assert (again.ids, again.language) == (notice.ids, "ru")


async def test_administrators_are_told_each(world: World) -> None:
    await world.do(lambda session: rows.tell_admins(session, [ADMIN, OWNER], {"text": "outage"}, world.now))
    notices = await world.outbox.due()
    assert [(n.kind, n.telegram_id, n.chat_id, n.payload) for n in notices] == [
        ("admin", OWNER, OWNER, {"text": "outage"}),
        ("admin", ADMIN, ADMIN, {"text": "outage"}),
    ]
    await world.outbox.sent(notices[0], 1)
    assert await world.open() == 1


async def test_a_limit_takes_the_oldest_first(world: World) -> None:
    for number in range(4):
        await world.do(lambda session, n=number: rows.tell_admins(session, [ADMIN], {"n": n}, world.now))  # type: ignore[misc]
        world.wait(1)
    assert [notice.payload["n"] for notice in await world.outbox.due(3)] == [0, 1, 2]


async def test_very_many_failures_make_one_notice(world: World) -> None:
    async with world.database.write() as session:
        owner = (await session.execute(select(Post))).scalars().first()
        assert owner is not None
        many = [
            Post(
                user_id=owner.user_id,
                channel_id=owner.channel_id,
                telegram_message_id=n,
                text="x",
                posted_at=NOW,
                tagging_status="failed",
            )
            for n in range(100, 2600)
        ]
        session.add_all(many)
        await session.flush()
        session.add_all(
            OutboxRow(kind="failed", telegram_id=OWNER, post_id=post.id, created_at=NOW, ready_at=NOW) for post in many
        )
    world.wait(2)
    [notice] = await world.outbox.due()
    assert len(notice.post_ids) == 2500
    await world.outbox.sent(notice, 5)
    assert await world.open() == 0


async def test_old_rows_are_forgotten(world: World) -> None:
    await world.fail(world.posts[0])
    await world.do(lambda session: rows.prune(session, world.now + timedelta(seconds=1), 100))
    assert await world.open() == 0
