"""What a person sets under /settings decides when they are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from services.accounts.people import CurrentUser, Role
from services.accounts.preferences import FailureNotices, Preferences, Quiet
from services.notifications.outbox import Notice, Outbox
from storage import outbox as rows
from storage.db.engine import Database
from storage.schema.tables import Channel, OutboxRow, Post, User

#: 23:30 in Moscow.
NIGHT = datetime(2026, 5, 1, 20, 30, tzinfo=UTC)
OWNER = CurrentUser(7, 1, Role.USER, "en", told=False)


class World:
    def __init__(self, database: Database, posts: list[int]) -> None:
        self.database, self.posts, self.now = database, posts, NIGHT
        self.outbox = Outbox(database, lambda: self.now)
        self.preferences = Preferences(database, ZoneInfo("UTC"), lambda: self.now)

    async def fail(self, post: int) -> None:
        async with self.database.write() as session:
            await rows.post_failed(session, self.posts[post], OWNER.telegram_id, self.now)

    async def due(self, at: datetime) -> list[Notice]:
        self.now = at
        return await self.outbox.due()

    async def open(self) -> int:
        async with self.database.read() as session:
            return len((await session.execute(select(OutboxRow.id).where(OutboxRow.done_at.is_(None)))).all())


@pytest.fixture
async def world(database: Database) -> World:
    async with database.write() as session:
        user, channel = User(telegram_id=OWNER.telegram_id), Channel(channel_username="news")
        session.add_all([user, channel])
        await session.flush()
        shared: dict[str, Any] = {"user_id": user.id, "channel_id": channel.id, "text": "x", "posted_at": NIGHT}
        posts = [Post(**shared, telegram_message_id=n, tagging_status="failed") for n in range(3)]
        session.add_all(posts)
    return World(database, [post.id for post in posts])


async def test_quiet_hours_hold_what_nobody_asked_for(world: World) -> None:
    assert await world.preferences.choose_time_zone(OWNER, "europe/moscow")
    await world.preferences.choose_quiet(OWNER, Quiet(23, 8))
    await world.fail(0)
    async with world.database.write() as session:
        for text in ("recovered", "account"):
            await rows.tell_admins(session, [OWNER.telegram_id], {"text": text}, world.now)
        waiting: dict[str, Any] = {
            "post_id": world.posts[1],
            "telegram_id": OWNER.telegram_id,
            "chat_id": OWNER.telegram_id,
        }
        asked = await rows.open_result(session, **waiting, message_id=5, now=world.now)
        await rows.outcome_ready(session, [world.posts[1]], world.now)
    at_once = await world.due(NIGHT + timedelta(minutes=1))
    assert [(each.kind, each.payload.get("text")) for each in at_once] == [("admin", "account"), ("result", None)]
    assert at_once[1].ids == (asked,)
    for each in at_once:
        await world.outbox.sent(each, 5)
    await world.fail(2)
    morning = datetime(2026, 5, 2, 5, tzinfo=UTC)
    assert await world.due(morning - timedelta(seconds=1)) == []
    held = await world.due(morning)
    assert [each.kind for each in held] == ["admin", "failed"]
    assert held[1].post_ids == (world.posts[0], world.posts[2])
    assert held[1].time_zone == "Europe/Moscow"


async def test_failures_are_told_once_a_day_in_one_message(world: World) -> None:
    await world.preferences.choose_failures(OWNER, FailureNotices.DIGEST)
    await world.fail(0)
    assert await world.due(NIGHT + timedelta(minutes=1)) == []
    world.now = NIGHT + timedelta(hours=5)
    await world.fail(1)
    hour = datetime(2026, 5, 2, 9, tzinfo=UTC)
    assert await world.due(hour - timedelta(seconds=1)) == []
    [told] = await world.due(hour)
    assert told.post_ids == (world.posts[0], world.posts[1])
    await world.outbox.sent(told, 1)
    await world.fail(2)
    assert await world.due(hour + timedelta(hours=2)) == []


async def test_switched_off_notices_are_withdrawn_and_not_written(world: World) -> None:
    await world.fail(0)
    await world.preferences.choose_failures(OWNER, FailureNotices.OFF)
    await world.fail(1)
    assert await world.open() == 0
    await world.preferences.choose_failures(OWNER, FailureNotices.EACH)
    await world.fail(1)
    assert [each.post_ids for each in await world.due(NIGHT + timedelta(minutes=2))] == [(world.posts[1],)]


async def test_an_unknown_time_zone_changes_nothing(world: World) -> None:
    for name in ("Mars/Base", "Europe", "../etc/passwd", ""):
        assert not await world.preferences.choose_time_zone(OWNER, name)
    assert (await world.preferences.get(OWNER)).time_zone == "UTC"
