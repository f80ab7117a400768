"""What people do with public channels: add, pause, read further back, remove, look."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import delete, event, select, update

from services.following import service as product
from services.following.progress import PollProgress
from services.following.service import ALL, MOST_CHANNELS, AddOutcome
from services.sources.base import SourceGoneError
from storage.db.engine import Database
from storage.schema.source_tables import Follow, SourceRow
from storage.schema.tables import Post, User, UserChannel
from tests.services.following.channel_world import ADMIN, FIRST, NOW, SECOND, World
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
    await world.poller.work()
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
    assert added.outcome is AddOutcome.KNOWN
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


async def test_who_pauses_while_a_gap_is_open_gets_all_of_it_afterwards(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.settle()
    world.shelf.fill("news", range(11, 101))
    world.now += timedelta(hours=7)
    await world.poller.work()
    await world.channels.pause(world.users[FIRST], channel, paused=True)
    await world.settle()
    assert await world.count(SECOND) == 100
    await world.channels.pause(world.users[FIRST], channel, paused=False)
    await world.later(hours=7)
    assert sorted(await world.posts(FIRST)) == list(range(1, 101))


async def test_what_comes_by_another_way_during_a_pause_hides_nothing(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.settle()
    await world.channels.pause(world.users[FIRST], channel, paused=True)
    async with world.database.write() as session:
        late = {"telegram_message_id": 40, "text": "news 40", "posted_at": NOW + timedelta(minutes=40)}
        session.add(Post(user_id=world.users[FIRST], channel_id=channel, **late))
    world.shelf.fill("news", range(11, 61))
    await world.channels.pause(world.users[FIRST], channel, paused=False)
    await world.settle()
    assert sorted(await world.posts(FIRST)) == list(range(1, 61))


async def test_a_pause_of_the_parsers_loses_nothing_either(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.settle()
    for active in (False, True):
        async with world.database.write() as session:
            theirs = UserChannel.user_id == world.users[FIRST]
            await session.execute(update(UserChannel).where(theirs).values(is_active=active))
        world.shelf.fill("news", range(1, 71))
        await world.later(hours=7)
    assert sorted(await world.posts(FIRST)) == list(range(1, 71))


async def test_a_channel_is_added_while_its_page_is_requested(world: World) -> None:
    """The server answers that nothing has changed, which is no answer for the new follower."""
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    world.now += timedelta(hours=7)
    progress = PollProgress(world.database, {ADMIN}, Random(1), on_posts=lambda: None, on_news=lambda: None)
    request = await progress.next_request(world.now)
    assert request is not None
    await world.add(SECOND, "news")
    await progress.store(request, None, world.now)
    await world.settle()
    assert await world.count(SECOND) == 10


async def test_a_name_that_cannot_be_read_leaves_the_parsers_own_link(world: World) -> None:
    channel = await world.add(SECOND, "news")
    async with world.database.write() as session:
        session.add(UserChannel(user_id=world.users[FIRST], channel_id=channel, is_active=True))
    await world.add(FIRST, "news")
    world.shelf.errors["news"] = SourceGoneError("no preview")
    await world.settle()
    async with world.database.read() as session:
        assert [link.user_id for link in (await session.execute(select(UserChannel))).scalars()] == [world.users[FIRST]]


async def test_who_is_new_does_not_wait_for_anothers_past(world: World) -> None:
    world.shelf.fill("news", range(1, 2001))
    channel = await world.add(FIRST, "news")
    await world.settle()
    await world.channels.older(world.users[FIRST], channel, ALL)
    await world.poller.work()
    world.shelf.fill("news", range(2001, 2101))
    await world.add(SECOND, "news")
    for _ in range(6):
        await world.poller.work()
    assert await world.count(SECOND) == 50


async def test_a_channel_that_is_removed_while_its_answer_is_stored_stays_removed(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.settle()
    world.shelf.fill("news", range(11, 21))
    world.now += timedelta(hours=7)
    await asyncio.gather(
        world.poller.work(), world.channels.remove(world.users[FIRST], channel, with_posts=True), world.poller.work()
    )
    assert await world.count(FIRST) == 0
    assert await world.count(SECOND) == 20


async def test_many_at_the_same_channels_wait_for_each_other_in_turn(world: World) -> None:
    names = ["aaaaa", "bbbbb", "ccccc", "ddddd"]
    users = [world.users[who] for who in (FIRST, SECOND)]
    await asyncio.gather(
        *(world.channels.add(user, order, None) for user in users for order in (names, names[::-1])),
        *(world.channels.fetch_all(user, wait_seconds=0) for user in users * 5),
    )
    assert (await world.channels.page(users[0], 1)).total == 4


async def test_a_parsers_own_words_for_the_same_text_are_no_edit(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    channel = await world.add(FIRST, "news")
    await world.channels.pause(world.users[FIRST], channel, paused=True)
    tagged = {"tags": ["one"], "tagging_status": "success", "posted_at": NOW}
    async with world.database.write() as session:
        for number in range(1, 11):
            words = {"telegram_message_id": number, "text": f"**news** {number} "}
            session.add(Post(user_id=world.users[FIRST], channel_id=channel, **words, **tagged))
    await world.channels.pause(world.users[FIRST], channel, paused=False)
    await world.settle()
    assert {post.tagging_status for post in (await world.posts(FIRST)).values()} == {"success"}
    world.shelf.texts["news"][3] = "something else"
    await world.later(hours=7)
    assert (await world.posts(FIRST))[3].tagging_status == "pending"


async def test_nobody_follows_more_channels_than_can_be_read(world: World) -> None:
    names = [f"channel{number}" for number in range(MOST_CHANNELS + 1)]
    added = await world.channels.add(world.users[FIRST], names, None)
    assert [one.outcome for one in added] == [AddOutcome.NEW] * MOST_CHANNELS + [AddOutcome.TOO_MANY]
    [other] = await world.channels.add(world.users[SECOND], ["channel0"], None)
    assert other.outcome is AddOutcome.NEW


async def test_an_administrators_channels_are_read_whatever_the_parser_says_of_them(world: World) -> None:
    world.shelf.fill("news", range(1, 4))
    await world.add(ADMIN, "news")
    async with world.database.write() as session:
        await session.execute(update(User).values(is_active=False))
    await world.settle()
    assert await world.count(ADMIN) == 3


async def test_the_parsers_column_says_when_a_channel_was_read(world: World) -> None:
    world.shelf.fill("news", range(1, 4))
    channel = await world.add(FIRST, "news")
    await world.add(SECOND, "news")
    await world.channels.pause(world.users[SECOND], channel, paused=True)
    await world.settle()
    async with world.database.read() as session:
        links = (await session.execute(select(UserChannel).order_by(UserChannel.user_id))).scalars()
        assert [link.last_parsed_at for link in links] == [NOW, None]


async def test_a_channel_that_nobody_follows_any_more_is_not_asked_for(world: World) -> None:
    """Also when the parser has deleted who did."""
    for name in ("news", "more"):
        world.shelf.fill(name, range(1, 4))
    await world.channels.remove(world.users[FIRST], await world.add(FIRST, "news"), with_posts=False)
    await world.add(FIRST, "more")
    async with world.database.write() as session:
        await session.execute(delete(Follow))
    await world.settle()
    assert world.shelf.asked == []
    async with world.database.read() as session:
        assert (await session.execute(select(SourceRow))).first() is None


async def test_older_posts_of_a_channel_that_has_just_failed_wait_for_the_next_look(world: World) -> None:
    world.shelf.fill("news", range(1, 101))
    channel = await world.add(FIRST, "news")
    await world.settle()
    world.shelf.errors["news"] = SourceGoneError("private")
    await world.later(hours=7)
    asked = len(world.shelf.asked)
    await world.channels.older(world.users[FIRST], channel, ALL)
    await world.later(hours=5)
    assert len(world.shelf.asked) == asked
    await world.later(hours=2)
    assert len(world.shelf.asked) == asked + 1


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
