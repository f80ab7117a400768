"""Public channels are read: what is asked for, stored and told. The pages come from a source that holds them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from services.following.service import ChannelProblem
from services.sources.base import SourceGoneError, SourceUnavailableError, SourceUnreadableError
from storage.db.engine import Database
from storage.queue.claim import Priority
from storage.schema.tables import Post, User
from tests.services.following.channel_world import ADMIN, FIRST, SECOND, World


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
    await world.poller.work()
    await world.poller.work()
    assert await world.count(FIRST) == 50
    world.poller = world.new_poller()
    await world.settle()
    assert sorted(await world.posts(FIRST)) == list(range(1, 101))
    assert [position for _, position in world.shelf.asked[-5:]] == [0, 81, 61, 41, 21]


async def test_one_request_serves_all_followers(world: World) -> None:
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
    assert (card.problem, card.posts) == (ChannelProblem.GONE, 10)
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


async def test_a_page_that_could_not_be_stored_comes_again(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    world.shelf.forgotten.clear()
    world.now += timedelta(hours=7)
    async with world.database.write() as session:
        await session.execute(text("ALTER TABLE posts RENAME TO away"))
    with pytest.raises(DBAPIError):
        await world.poller.work()
    assert world.shelf.forgotten == ["news"]


async def test_an_answer_that_cannot_be_stored_holds_up_no_other_channel(world: World) -> None:
    for name in ("bad", "good"):
        world.shelf.fill(name, range(1, 11))
        await world.add(FIRST, name)
    await world.settle()
    await refuse(world.database, "bad 11")
    for name in ("bad", "good"):
        world.shelf.fill(name, range(11, 13))
    world.now += timedelta(hours=7)
    for _ in range(2):
        with suppress(DBAPIError):
            await world.poller.work()
    assert await world.count(FIRST) == 22
    await world.settle()


async def refuse(database: Database, words: str) -> None:
    """A rule of another program's."""
    async with database.write() as session:
        if database.is_sqlite:
            when = f"WHEN NEW.text = '{words}' BEGIN SELECT RAISE(ABORT, 'no'); END"
            await session.execute(text(f"CREATE TRIGGER refusal BEFORE INSERT ON posts {when}"))
        else:
            await session.execute(text(f"ALTER TABLE posts ADD CONSTRAINT refusal CHECK (text <> '{words}')"))


async def test_administrators_hear_of_each_change_of_the_pages(world: World) -> None:
    """A server that does not answer in between changes nothing of that; nor a channel that is removed."""
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.settle()
    heard = []
    for error in (SourceUnreadableError("no time"), SourceUnavailableError("HTTP 500"), None):
        world.shelf.errors = {"news": error} if error else {}
        await world.later(hours=7)
        heard += [told["text"] for told in await world.told(ADMIN)]
    world.shelf.errors["news"] = SourceUnreadableError("no time")
    await world.later(hours=7)
    heard += [told["text"] for told in await world.told(ADMIN)]
    await world.channels.remove(world.users[FIRST], channel, with_posts=False)
    world.shelf.fill("more", range(1, 3))
    await world.add(FIRST, "more")
    await world.settle()
    heard += [told["text"] for told in await world.told(ADMIN)]
    assert heard == ["unreadable", "readable"] * 2


async def test_a_channel_that_is_gone_is_told_once_though_the_server_fails_in_between(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    await world.told(FIRST)
    for error in (SourceGoneError("private"), SourceUnavailableError("HTTP 500"), SourceGoneError("private"), None):
        world.shelf.errors = {"news": error} if error else {}
        await world.later(hours=7)
    assert [told["text"] for told in await world.told(FIRST)] == ["gone", "back"]


async def test_a_server_that_fails_for_one_name_alone_is_asked_for_the_others(world: World) -> None:
    for name in ("bad", "good"):
        world.shelf.fill(name, range(1, 11))
        await world.add(FIRST, name)
    world.shelf.errors["bad"] = SourceUnavailableError("HTTP 500")
    await world.settle()
    assert await world.count(FIRST) == 10
    world.shelf.errors["good"] = SourceUnavailableError("HTTP 500")
    world.now += timedelta(hours=7)
    asked = len(world.shelf.asked)
    await world.settle()
    await world.poller.work()
    assert len(world.shelf.asked) == asked + 2


async def test_one_request_serves_many_followers(world: World) -> None:
    world.shelf.fill("news", range(1, 4))
    users = []
    async with world.database.write() as session:
        for who in range(100, 145):
            user = User(telegram_id=who)
            session.add(user)
            await session.flush()
            users.append(user.id)
    for user_id in users:
        await world.channels.add(user_id, ["news"], None)
    await world.settle()
    assert len(world.shelf.asked) == 1
    async with world.database.read() as session:
        assert (await session.execute(select(func.count()).select_from(Post))).scalar_one() == 135


async def test_with_many_channels_due_what_is_behind_has_its_turn(world: World) -> None:
    for number in range(20):
        world.shelf.fill(f"news{number}", range(1, 61))
        await world.add(FIRST, f"news{number}")
    for _ in range(9):
        await world.poller.work()
    assert sum(position > 0 for _, position in world.shelf.asked) == 3
