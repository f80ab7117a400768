"""What people do with public channels: add, pause, read further back, remove, look."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from services import channels as product
from services.channels import ALL, Added
from storage.database import Database
from storage.models import Post, User, UserChannel
from tests.services.channel_world import FIRST, NOW, SECOND, World
from tests.statements import noted


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await made.begin()
    return made


async def test_pausing_costs_nothing_and_what_was_posted_meanwhile_comes_afterwards(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.settle()
    assert await world.channels.pause(world.users[FIRST], channel, paused=True)
    world.shelf.fill("news", range(11, 61))
    await world.later(hours=7)
    assert await world.count(FIRST) == 10
    assert await world.count(SECOND) == 60
    await world.channels.pause(world.users[SECOND], channel, paused=True)
    asked = len(world.shelf.asked)
    await world.later(hours=7)
    assert len(world.shelf.asked) == asked
    await world.channels.pause(world.users[FIRST], channel, paused=False)
    await world.settle()
    assert sorted(await world.posts(FIRST)) == list(range(1, 61))


async def test_the_parsers_own_pause_counts_and_who_may_not_use_the_bot_is_not_read_for(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    async with world.database.write() as session:
        await session.execute(update(UserChannel).values(is_active=False))
    await world.settle()
    assert world.shelf.asked == []
    async with world.database.write() as session:
        await session.execute(update(UserChannel).values(is_active=True))
        await session.execute(update(User).where(User.telegram_id == FIRST).values(is_active=False))
    await world.settle()
    assert world.shelf.asked == []


async def test_older_posts_up_to_the_beginning_with_progress(world: World) -> None:
    world.shelf.fill("news", range(1, 301))
    channel = await world.add(FIRST, "news")
    await world.settle()
    await world.told(FIRST)
    assert await world.channels.older(world.users[FIRST], channel, 30)
    await world.settle()
    assert min(await world.posts(FIRST)) == 221
    [told] = await world.told(FIRST)
    assert (told["text"], told["read"], told["done"], told["at_beginning"]) == ("older", 30, True, False)
    await world.channels.older(world.users[FIRST], channel, ALL)
    await world.channels.attach(world.users[FIRST], channel, FIRST, 77)
    await world.settle()
    assert sorted(await world.posts(FIRST)) == list(range(1, 301))
    # In one message: what was overtaken is not shown.
    [told] = await world.told(FIRST)
    assert told == {**told, "text": "older", "read": 220, "wanted": ALL, "done": True, "at_beginning": True}
    assert not await world.channels.older(world.users[FIRST], channel, 10)


async def test_older_posts_can_be_stopped(world: World) -> None:
    world.shelf.fill("news", range(1, 301))
    channel = await world.add(FIRST, "news")
    await world.settle()
    await world.channels.older(world.users[FIRST], channel, ALL)
    await world.reader.step()
    await world.channels.older(world.users[FIRST], channel, 0)
    await world.settle()
    assert await world.count(FIRST) == 70


async def test_two_who_want_the_same_past_are_served_by_one_reading(world: World) -> None:
    world.shelf.fill("news", range(1, 101))
    channel = await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.settle()
    assert len(world.shelf.asked) == 3
    for who in (FIRST, SECOND):
        await world.channels.older(world.users[who], channel, ALL)
    await world.settle()
    assert sorted(await world.posts(FIRST)) == sorted(await world.posts(SECOND)) == list(range(1, 101))
    assert len(world.shelf.asked) == 6


async def test_removing_keeps_the_posts_unless_asked_and_adding_again_leaves_no_double(world: World) -> None:
    world.shelf.fill("news", range(1, 61))
    channel = await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.settle()
    assert await world.channels.remove(world.users[FIRST], channel, with_posts=False)
    assert not await world.channels.remove(world.users[FIRST], channel, with_posts=False)
    assert await world.count(FIRST) == 50
    assert await world.add(FIRST, "news") == channel
    await world.settle()
    assert await world.count(FIRST) == 50
    assert await world.channels.remove(world.users[FIRST], channel, with_posts=True)
    assert await world.posts(FIRST) == {}
    assert await world.count(SECOND) == 50


async def test_posts_are_deleted_in_portions_each_in_a_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product, "PORTION", 10)
    world.shelf.fill("news", range(1, 51))
    channel = await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.settle()
    ends: list[object] = []

    def note(connection: object) -> None:
        ends.append(connection)

    engine = world.database.engine.sync_engine
    event.listen(engine, "commit", note)
    assert await world.channels.remove(world.users[FIRST], channel, with_posts=True)
    event.remove(engine, "commit", note)
    # One that unfollows, five with posts, and one that finds no more.
    assert len(ends) == 7
    assert await world.count(FIRST) == 0
    assert await world.count(SECOND) == 50
    assert not await world.channels.remove(world.users[FIRST], channel, with_posts=True)


async def test_adding_what_is_followed_says_so_and_reads_it_now(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    [added] = await world.channels.add(world.users[FIRST], ["News"], FIRST)
    assert added.outcome is Added.KNOWN
    world.shelf.fill("news", range(11, 12))
    await world.settle()
    assert await world.count(FIRST) == 11


async def test_a_page_comes_again_for_who_has_not_got_it(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.settle()
    world.shelf.forgotten.clear()
    await world.later(hours=7)
    assert world.shelf.forgotten == []
    await world.add(SECOND, "news")
    await world.settle()
    assert world.shelf.forgotten == ["news"]
    await world.channels.pause(world.users[SECOND], channel, paused=True)
    await world.channels.pause(world.users[SECOND], channel, paused=False)
    await world.settle()
    assert world.shelf.forgotten == ["news", "news"]


async def test_the_cards_of_a_users_channels(world: World) -> None:
    world.shelf.fill("news", range(1, 5))
    channel = await world.add(FIRST, "news")
    await world.settle()
    async with world.database.write() as session:
        await session.execute(
            update(Post).where(Post.telegram_message_id == 4).values(tags=["one"], tagging_status="success")
        )
    [card] = (await world.channels.page(world.users[FIRST], 9)).channels
    assert (card.id, card.title, card.username, card.posts, card.tagged) == (channel, "All news", "news", 4, 1)
    assert (card.is_read, card.is_paused, card.checked_at, card.at_beginning) == (True, False, NOW, True)
    assert (await world.channels.page(world.users[SECOND], 1)).channels == []
    assert await world.channels.card(world.users[SECOND], channel) is None


async def test_what_comes_of_a_wish_to_fetch_is_counted_once_and_for_that_user(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    world.shelf.fill("other", range(1, 4))
    for who in (FIRST, SECOND):
        await world.add(who, "news")
    await world.add(FIRST, "other")
    await world.settle()
    world.shelf.fill("news", range(11, 16))
    world.shelf.texts["news"][3] = "another text"
    world.now += timedelta(minutes=1)
    with noted(world.database) as statements:
        fetching = asyncio.create_task(world.channels.fetch_all(world.users[FIRST], wait_seconds=20))
        await statements.until("SELECT metka_sources.channel_id, metka_sources.name")
        world.now += timedelta(seconds=1)
        await world.settle()
        found = await fetching
    assert [(one.name, one.posts, one.done, one.problem) for one in found] == [
        ("news", 5, True, None),
        ("other", 0, True, None),
    ]
    assert statements.about("FROM posts WHERE posts.id >") == 1


async def test_who_waits_in_vain_is_told_what_is_not_read_yet(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    [one] = await world.channels.fetch_all(world.users[FIRST], wait_seconds=0)
    assert (one.posts, one.done) == (0, False)
