"""Public channels are read: what is asked for, stored and told. The pages come from a source that holds them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from services.channels import ALL, Added, Channels, Problem
from services.reader import Reader
from services.sources.base import (
    Delivery,
    SourceChannel,
    SourceError,
    SourceGoneError,
    SourcePost,
    SourceUnavailableError,
    SourceUnreadableError,
)
from storage.database import Database
from storage.models import OutboxRow, Post, User, UserChannel
from storage.queue import Priority

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ADMIN, FIRST, SECOND = 1, 2, 3


class Shelf:
    """Channels by name, twenty posts a page, as the preview has them; counts what is asked."""

    def __init__(self) -> None:
        self.texts: dict[str, dict[int, str | None]] = {}
        self.renamed: dict[str, str] = {}
        self.errors: dict[str, SourceError] = {}
        self.asked: list[tuple[str, int]] = []
        self.forgotten: list[str] = []
        self.skipped: dict[str, int] = {}

    def fill(self, name: str, numbers: range) -> None:
        self.texts.setdefault(name, {}).update({number: f"{name} {number}" for number in numbers})

    def channel(self, name: str) -> Shelved:
        return Shelved(self, name)

    def forget(self, name: str) -> None:
        self.forgotten.append(name)


class Shelved:
    """One channel of a shelf."""

    def __init__(self, shelf: Shelf, name: str) -> None:
        self._shelf = shelf
        self._name = name

    async def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        while True:
            self._shelf.asked.append((self._name, position))
            if self._name in self._shelf.errors:
                raise self._shelf.errors[self._name]
            texts = self._shelf.texts[self._name]
            older = sorted(number for number in texts if not position or number < position)
            page = older[-20:]
            posts = [SourcePost(number, texts[number], NOW + timedelta(minutes=number)) for number in page]
            channel = SourceChannel(None, self._shelf.renamed.get(self._name, self._name), f"All {self._name}")
            is_last = len(older) <= 20
            position = page[0] if page else 0
            yield Delivery(channel, posts, position, self._shelf.skipped, is_whole=True, is_last=is_last)
            if is_last:
                return


class World:
    """A reader and the channels' use cases on one database, with a clock that is set by hand."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.shelf = Shelf()
        self.now = NOW
        self.heard: list[str] = []
        self.channels = Channels(database, lambda: None, lambda: self.now)
        self.reader = self.new_reader()
        self.users: dict[int, int] = {}

    def new_reader(self) -> Reader:
        return Reader(
            self.database,
            self.shelf,
            frozenset({ADMIN}),
            lambda: self.now,
            Random(1),
            on_posts=lambda: self.heard.append("posts"),
            on_news=lambda: self.heard.append("news"),
        )

    async def begin(self) -> None:
        async with self.database.write() as session:
            for telegram_id in (ADMIN, FIRST, SECOND):
                user = User(telegram_id=telegram_id)
                session.add(user)
                await session.flush()
                self.users[telegram_id] = user.id

    async def add(self, who: int, name: str) -> int:
        [added] = await self.channels.add(self.users[who], [name], who)
        assert added.channel_id is not None
        return added.channel_id

    async def settle(self) -> None:
        """Until nothing is due."""
        while not await self.reader.step():
            pass

    async def later(self, **time: float) -> None:
        self.now += timedelta(**time)
        await self.settle()

    async def posts(self, who: int) -> dict[int, Post]:
        query = select(Post).where(Post.user_id == self.users[who])
        async with self.database.read() as session:
            found = list((await session.execute(query)).scalars())
        assert len({(post.channel_id, post.telegram_message_id) for post in found}) == len(found)
        return {post.telegram_message_id: post for post in found}

    async def count(self, who: int) -> int:
        query = select(func.count()).select_from(Post).where(Post.user_id == self.users[who])
        async with self.database.read() as session:
            return (await session.execute(query)).scalar_one()

    async def told(self, who: int) -> list[dict[str, Any]]:
        """What somebody is told, and has not been asked about before."""
        query = (
            select(OutboxRow).where(OutboxRow.telegram_id == who, OutboxRow.done_at.is_(None)).order_by(OutboxRow.id)
        )
        async with self.database.write() as session:
            rows = list((await session.execute(query)).scalars())
            for row in rows:
                row.done_at = self.now
        return [row.payload or {} for row in rows]


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await made.begin()
    return made


async def test_a_new_channels_last_fifty_posts_are_stored_once_and_come_after_what_is_fresh(world: World) -> None:
    world.shelf.fill("news", range(1, 201))
    channel = await world.add(FIRST, "news")
    await world.settle()
    posts = await world.posts(FIRST)
    assert sorted(posts) == list(range(151, 201))
    assert {post.work_class for post in posts.values()} == {Priority.BACKFILL}
    assert posts[200].text == "news 200"
    assert world.shelf.asked == [("news", 0), ("news", 181), ("news", 161)]
    assert await world.told(FIRST) == [
        {
            "text": "added",
            "posts": 50,
            "at_beginning": False,
            "channel": channel,
            "name": "news",
            "title": "All news",
        }
    ]
    assert world.heard.count("posts") == 3


async def test_new_posts_come_with_the_next_look_ahead_of_the_past(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    world.shelf.fill("news", range(11, 14))
    await world.settle()
    assert await world.count(FIRST) == 10
    await world.later(hours=7)
    posts = await world.posts(FIRST)
    assert sorted(posts) == list(range(1, 14))
    assert posts[12].work_class == Priority.FRESH


async def test_a_gap_of_many_pages_is_filled_and_a_new_process_goes_on_with_it(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    world.shelf.fill("news", range(11, 101))
    world.now += timedelta(hours=7)
    await world.reader.step()
    await world.reader.step()
    assert await world.count(FIRST) == 50
    world.reader = world.new_reader()
    await world.settle()
    assert sorted(await world.posts(FIRST)) == list(range(1, 101))
    assert [position for _, position in world.shelf.asked[-5:]] == [0, 81, 61, 41, 21]


async def test_one_reading_serves_all_who_follow(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.add(SECOND, "NEWS")
    await world.settle()
    assert world.shelf.asked == [("news", 0)]
    world.shelf.fill("news", range(11, 12))
    await world.later(hours=7)
    assert len(world.shelf.asked) == 2
    assert sorted(await world.posts(FIRST)) == sorted(await world.posts(SECOND)) == list(range(1, 12))


async def test_an_edit_is_stored_and_a_deleted_post_stays_and_says_so(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    world.shelf.texts["news"][5] = "better words"
    del world.shelf.texts["news"][7]
    await world.later(hours=7)
    posts = await world.posts(FIRST)
    assert (posts[5].text, posts[5].tagging_status) == ("better words", "pending")
    assert (posts[7].text, posts[7].gone_at) == ("news 7", world.now)
    assert posts[6].gone_at is None


async def test_a_post_without_text_is_skipped(world: World) -> None:
    world.shelf.texts["news"] = {1: None, 2: "words"}
    await world.add(FIRST, "news")
    await world.settle()
    statuses = {number: post.tagging_status for number, post in (await world.posts(FIRST)).items()}
    assert statuses == {1: "skipped", 2: "pending"}


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


async def test_a_name_that_cannot_be_read_is_told_and_not_asked_for_again(world: World) -> None:
    world.shelf.errors["nwes"] = SourceGoneError("no preview")
    await world.add(FIRST, "nwes")
    await world.settle()
    [told] = await world.told(FIRST)
    assert (told["text"], told["first"], told["name"]) == ("gone", True, "nwes")
    await world.later(hours=24)
    assert len(world.shelf.asked) == 1
    assert (await world.channels.page(world.users[FIRST], 1)).total == 0


async def test_a_channel_that_goes_and_comes_back_is_told_once_each(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.settle()
    await world.told(FIRST)
    world.shelf.errors["news"] = SourceGoneError("private")
    for _ in range(3):
        await world.later(hours=7)
    assert [told["text"] for told in await world.told(FIRST)] == ["gone"]
    card = await world.channels.card(world.users[FIRST], channel)
    assert card is not None
    assert (card.problem, card.posts) == (Problem.GONE, 10)
    world.shelf.errors.clear()
    await world.later(hours=7)
    assert [told["text"] for told in await world.told(FIRST)] == ["back"]


async def test_a_page_of_another_form_stores_nothing_and_is_told_to_the_administrators_once(world: World) -> None:
    for name in ("news", "more"):
        world.shelf.fill(name, range(1, 11))
        await world.add(FIRST, name)
    await world.settle()
    await world.told(FIRST)
    for name in ("news", "more"):
        world.shelf.errors[name] = SourceUnreadableError("no time")
    for _ in range(3):
        await world.later(hours=7)
    [told] = await world.told(ADMIN)
    assert (told["text"], told["name"] in {"news", "more"}) == ("unreadable", True)
    assert await world.told(FIRST) == []
    del world.shelf.errors["news"]
    await world.later(hours=7)
    assert await world.told(ADMIN) == []
    world.shelf.errors.clear()
    await world.later(hours=7)
    assert [told["text"] for told in await world.told(ADMIN)] == ["readable"]
    assert await world.count(FIRST) == 20


async def test_who_waits_for_the_first_posts_is_told_that_it_takes_longer(world: World) -> None:
    world.shelf.errors["news"] = SourceUnreadableError("no time")
    channel = await world.add(FIRST, "news")
    await world.channels.attach(world.users[FIRST], channel, FIRST, 77)
    await world.settle()
    [told] = await world.told(FIRST)
    assert (told["text"], told["problem"]) == ("delayed", "unreadable")
    world.shelf.errors.clear()
    world.shelf.fill("news", range(1, 11))
    await world.later(hours=7)
    assert [told["text"] for told in await world.told(FIRST)] == ["added"]


async def test_messages_of_an_unknown_kind_are_told_once_a_channel(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    world.shelf.skipped = {"unknown": 2}
    await world.add(FIRST, "news")
    await world.settle()
    await world.later(hours=7)
    [told] = await world.told(ADMIN)
    assert told == {"text": "unreadable", "name": "news", "some": 2}
    assert await world.count(FIRST) == 10
    world.shelf.skipped = {}
    await world.later(hours=7)
    assert await world.told(ADMIN) == []
    world.shelf.skipped = {"unknown": 1}
    await world.later(hours=7)
    assert [told["some"] for told in await world.told(ADMIN)] == [1]


async def test_a_server_that_asks_to_wait_is_left_alone_for_all_channels(world: World) -> None:
    for name in ("news", "more"):
        world.shelf.fill(name, range(1, 11))
        await world.add(FIRST, name)
    world.shelf.errors["news"] = SourceUnavailableError("429", retry_after=100)
    world.shelf.errors["more"] = SourceUnavailableError("429", retry_after=100)
    await world.settle()
    assert len(world.shelf.asked) == 1
    await world.later(seconds=99)
    assert len(world.shelf.asked) == 1
    world.shelf.errors.clear()
    await world.later(seconds=100)
    assert {name for name, _ in world.shelf.asked[1:]} == {"news", "more"}
    assert await world.count(FIRST) == 20
    assert [told["text"] for told in await world.told(FIRST)] == ["delayed", "added", "added"]


async def test_a_new_name_is_followed_and_told(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.settle()
    await world.told(FIRST)
    world.shelf.renamed["news"] = "latest"
    world.shelf.fill("latest", range(1, 12))
    await world.later(hours=7)
    [told] = await world.told(FIRST)
    assert (told["text"], told["old"], told["name"]) == ("renamed", "news", "latest")
    card = await world.channels.card(world.users[FIRST], channel)
    assert card is not None
    assert card.username == "latest"
    await world.later(hours=7)
    assert world.shelf.asked[-1] == ("latest", 0)
    assert await world.count(FIRST) == 11


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


async def test_a_page_that_could_not_be_stored_comes_again(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    world.shelf.forgotten.clear()
    world.now += timedelta(hours=7)
    async with world.database.write() as session:
        await session.execute(text("ALTER TABLE posts RENAME TO away"))
    with pytest.raises(DBAPIError):
        await world.reader.step()
    assert world.shelf.forgotten == ["news"]


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
