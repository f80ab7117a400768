"""Queries of the bot: counts, cards, failed posts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.library.bot_queries import BotQueries
from storage.db.engine import Database
from storage.schema.tables import Attempt, Channel, Post, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass
class World:
    """Two users and a channel."""

    database: Database
    user: int
    other: int
    channel: int
    messages: int = 0

    async def post(self, status: str | None = "pending", **values: Any) -> int:
        self.messages += 1
        defaults = {"text": "Text", "posted_at": NOW + timedelta(minutes=self.messages), "user_id": self.user}
        post = Post(
            channel_id=self.channel,
            telegram_message_id=self.messages,
            tagging_status=status,
            **{**defaults, **values},
        )
        async with self.database.write() as session:
            session.add(post)
        return post.id


@pytest.fixture
async def world(database: Database) -> World:
    async with database.write() as session:
        users = [User(telegram_id=7), User(telegram_id=8)]
        channel = Channel(channel_username="id-1005", channel_id=-1005, channel_title="News")
        session.add_all([*users, channel])
    return World(database, users[0].id, users[1].id, channel.id)


@pytest.fixture
def queries(database: Database) -> BotQueries:
    return BotQueries(database, lambda: NOW)


async def test_counts_are_of_the_user_or_of_all(world: World, queries: BotQueries) -> None:
    await world.post("pending", tags=["old"], requested_at=NOW)
    await world.post("retrying")
    await world.post("success", tags=["a"])
    await world.post("success", tags=["b"], user_id=world.other)
    await world.post("failed", tags=[])
    mine, everybody = await queries.stats(world.user), await queries.stats(None)
    assert mine.by_status == {"pending": 1, "retrying": 1, "success": 1, "failed": 1, "skipped": 0}
    assert (mine.total, mine.with_tags, mine.waiting, mine.users) == (4, 2, 2, 1)
    assert (everybody.total, everybody.with_tags, everybody.users) == (5, 3, 2)


async def test_a_status_of_null_is_pending(world: World, queries: BotQueries) -> None:
    post_id = await world.post()
    async with world.database.write() as session:
        await session.execute(text("UPDATE posts SET tagging_status = NULL"))
    assert (await queries.stats(world.user)).by_status["pending"] == 1
    card = await queries.post(post_id, user_id=None)
    assert card is not None
    assert card.status == "pending"


async def test_json_null_is_no_tags(world: World, queries: BotQueries) -> None:
    await world.post()
    for tags in ("null", "[]", " [ ] ", None):
        async with world.database.write() as session:
            await session.execute(
                text("UPDATE posts SET tags = CAST(:tags AS JSON)")
                if not _sqlite(world)
                else text("UPDATE posts SET tags = :tags"),
                {"tags": tags},
            )
        assert (await queries.stats(None)).with_tags == 0


def _sqlite(world: World) -> bool:
    return world.database.is_sqlite


async def test_nobody_has_anything(database: Database, queries: BotQueries) -> None:
    stats = await queries.stats(None)
    assert (stats.total, stats.waiting, stats.next_attempt_at, stats.users) == (0, 0, None, 0)


async def test_the_next_attempt_is_the_soonest_unless_one_is_due(world: World, queries: BotQueries) -> None:
    await world.post("retrying", next_attempt_at=NOW + timedelta(minutes=9))
    await world.post("retrying", next_attempt_at=NOW + timedelta(minutes=3))
    await world.post("failed", next_attempt_at=NOW + timedelta(minutes=1))
    await world.post("pending", user_id=world.other)
    assert (await queries.stats(world.user)).next_attempt_at == NOW + timedelta(minutes=3)
    assert (await queries.stats(None)).next_attempt_at is None


async def test_a_card_is_the_owners_and_the_administrators(world: World, queries: BotQueries) -> None:
    post_id = await world.post("success", text="я" * 900, tags=["a", "b"], tagging_error="kept")
    assert await queries.post(post_id, user_id=world.other) is None
    assert await queries.post(post_id + 1, user_id=None) is None
    card = await queries.post(post_id, user_id=world.user)
    assert card == await queries.post(post_id, user_id=None)
    assert card is not None
    assert (card.text, card.tags, card.error) == ("я" * 500, ("a", "b"), "kept")
    assert (card.channel_title, card.channel_username) == ("News", None)
    assert not card.leased


async def test_cards_come_in_the_order_asked_for(world: World, queries: BotQueries) -> None:
    first, second, third = [await world.post("failed") for _ in range(3)]
    other = await world.post("failed", user_id=world.other)
    assert [card.id for card in await queries.posts([third, other, 999_999, first])] == [third, other, first]
    assert (await queries.posts([second]))[0] == await queries.post(second, user_id=None)
    assert await queries.posts([]) == []


async def test_a_card_tells_what_is_going_on(world: World, queries: BotQueries) -> None:
    post_id = await world.post(
        requested_at=NOW, skipped_at=NOW, lease_token="t", lease_expires_at=NOW + timedelta(seconds=1)
    )
    card = await queries.post(post_id, user_id=None)
    assert card is not None
    assert card.leased
    assert card.skipped


async def test_a_card_tells_of_a_post_deleted_in_its_channel(world: World, queries: BotQueries) -> None:
    there, gone = await world.post("success"), await world.post("success", gone_at=NOW)
    cards = [await queries.post(post_id, user_id=None) for post_id in (there, gone)]
    assert [card.gone_at for card in cards if card is not None] == [None, NOW]


async def test_a_card_has_the_last_attempts(world: World, queries: BotQueries) -> None:
    post_id = await world.post()
    async with world.database.write() as session:
        for second in range(7):
            at = NOW + timedelta(seconds=second)
            session.add(Attempt(post_id=post_id, request_id="r", at=at, model_asked="m", outcome="empty", seconds=1.5))
            await session.flush()
    card = await queries.post(post_id, user_id=None)
    assert card is not None
    assert [(attempt.at - NOW).seconds for attempt in card.attempt_log] == [2, 3, 4, 5, 6]


async def test_failed_posts_come_in_pages(world: World, queries: BotQueries) -> None:
    posts = [await world.post("failed") for _ in range(12)]
    await world.post("failed", user_id=world.other)
    first, last, beyond = [await queries.failed(world.user, page) for page in (1, 2, 9)]
    assert [card.id for card in first.posts] == posts[:1:-1]
    assert [card.id for card in last.posts] == [posts[1], posts[0]]
    assert (first.page, first.pages, first.total) == (1, 2, 12)
    assert beyond == last


async def test_without_failed_posts_there_is_one_empty_page(world: World, queries: BotQueries) -> None:
    page = await queries.failed(world.user, 0)
    assert (page.posts, page.page, page.pages, page.total) == ((), 1, 1, 0)
