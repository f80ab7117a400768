"""A post from any source is stored once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, func, select, update

from services.accounts.people import People
from services.ingest.channel_posts import ChannelPosts, IncomingPost, StoreOutcome
from storage.db.engine import Database
from storage.schema.tables import Channel, OutboxRow, Post, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHANNEL = -1001234567890
POST = IncomingPost(
    channel_telegram_id=CHANNEL,
    channel_title="News",
    channel_username="TheNews",
    message_id=10,
    text="Hello",
    posted_at=NOW,
    url="https://t.me/TheNews/10",
)
OWNER, ADMIN, STRANGER, READER = 1, 2, 3, 4


@pytest.fixture
def woken() -> list[bool]:
    return []


@pytest.fixture
async def channel_posts(database: Database, woken: list[bool]) -> ChannelPosts:
    async with database.write() as session:
        session.add_all([User(telegram_id=OWNER), User(telegram_id=READER)])
    people = People(database, frozenset({ADMIN}), lambda: NOW)
    channel_posts = ChannelPosts(database, people, lambda: woken.append(True), lambda: NOW)
    await channel_posts.bot_added(CHANNEL, "News", "TheNews", OWNER)
    async with database.write() as session:
        # The row that /channels shows: each test begins with what it inserts itself.
        await session.execute(delete(Channel))
    return channel_posts


async def only_post(database: Database) -> Post:
    async with database.read() as session:
        return (await session.execute(select(Post))).scalar_one()


async def user_id_of(database: Database, telegram_id: int) -> int:
    async with database.read() as session:
        return (await session.execute(select(User.id).where(User.telegram_id == telegram_id))).scalar_one()


async def test_a_post_is_stored_for_who_added_the_bot(
    database: Database, channel_posts: ChannelPosts, woken: list[bool]
) -> None:
    receipt = await channel_posts.channel_post(POST)
    post = await only_post(database)
    assert (receipt.outcome, receipt.post_id) == (StoreOutcome.NEW, post.id)
    assert (post.text, post.tagging_status, post.posted_at) == ("Hello", "pending", NOW)
    assert post.user_id == await user_id_of(database, OWNER)
    assert post.tagging_attempts == 0
    assert woken


async def test_a_post_told_twice_at_once_is_stored_once(database: Database, channel_posts: ChannelPosts) -> None:
    receipts = await asyncio.gather(*(channel_posts.channel_post(POST) for _ in range(8)))
    assert sorted(receipt.outcome for receipt in receipts) == [StoreOutcome.KNOWN] * 7 + [StoreOutcome.NEW]
    await only_post(database)


async def test_other_channels_and_strangers_are_ignored(database: Database, channel_posts: ChannelPosts) -> None:
    other = replace(POST, channel_telegram_id=-1009)
    assert (await channel_posts.channel_post(other)).outcome is StoreOutcome.IGNORED
    await channel_posts.bot_added(-1009, "Other", None, STRANGER)
    assert (await channel_posts.channel_post(other)).outcome is StoreOutcome.IGNORED
    await channel_posts.bot_removed(CHANNEL)
    assert (await channel_posts.channel_post(POST)).outcome is StoreOutcome.IGNORED
    await channel_posts.bot_added(CHANNEL, "News", None, ADMIN)
    assert (await channel_posts.channel_post(POST)).outcome is StoreOutcome.NEW
    assert (await only_post(database)).user_id == await user_id_of(database, ADMIN)


async def test_the_owner_stays_when_another_administrator_changes_rights(
    database: Database, channel_posts: ChannelPosts
) -> None:
    await channel_posts.bot_added(CHANNEL, "News", "TheNews", READER)
    await channel_posts.channel_post(POST)
    assert (await only_post(database)).user_id == await user_id_of(database, OWNER)


async def test_who_lost_access_gets_no_more_posts(database: Database, channel_posts: ChannelPosts) -> None:
    async with database.write() as session:
        await session.execute(update(User).values(is_active=False))
    assert (await channel_posts.channel_post(POST)).outcome is StoreOutcome.IGNORED


async def test_without_text_there_is_nothing_to_tag(database: Database, channel_posts: ChannelPosts) -> None:
    await channel_posts.channel_post(replace(POST, text=" \n"))
    assert (await only_post(database)).tagging_status == "skipped"


async def test_what_postgresql_refuses_is_cut(database: Database, channel_posts: ChannelPosts) -> None:
    await channel_posts.channel_post(replace(POST, text="a\x00b\udc00c", channel_title="N\x00"))
    assert (await only_post(database)).text == "abc"


@pytest.mark.parametrize("captions", [("Hello", None, None), (None, "Hello", None), (None, None, "Hello")])
async def test_an_album_is_one_post_with_its_caption(
    database: Database, channel_posts: ChannelPosts, captions: tuple[str | None, ...]
) -> None:
    for message_id, caption in enumerate(captions, start=10):
        await channel_posts.channel_post(replace(POST, message_id=message_id, text=caption, media_group_id="g"))
    post = await only_post(database)
    assert (post.text, post.tagging_status) == ("Hello", "pending")


async def test_an_edited_photo_of_an_album_does_not_delete_its_caption(
    database: Database, channel_posts: ChannelPosts
) -> None:
    await channel_posts.channel_post(replace(POST, media_group_id="g"))
    photo = replace(POST, message_id=11, text=None, media_group_id="g")
    assert (await channel_posts.channel_edit(photo)).outcome is StoreOutcome.KNOWN
    assert (await only_post(database)).text == "Hello"


async def test_an_edit_is_tagged_anew_and_keeps_its_tags(database: Database, channel_posts: ChannelPosts) -> None:
    await channel_posts.channel_post(POST)
    async with database.write() as session:
        await session.execute(update(Post).values(tags=["old"], tagging_status="success", tagging_attempts=2))
    assert (await channel_posts.channel_edit(POST)).outcome is StoreOutcome.KNOWN
    assert (await only_post(database)).tagging_status == "success"
    assert (await channel_posts.channel_edit(replace(POST, text="Changed"))).outcome is StoreOutcome.EDITED
    post = await only_post(database)
    assert (post.text, post.tags, post.tagging_status) == ("Changed", ["old"], "pending")


async def test_an_edit_that_deletes_the_text_leaves_nothing_to_tag(
    database: Database, channel_posts: ChannelPosts
) -> None:
    await channel_posts.channel_post(POST)
    assert (await channel_posts.channel_edit(replace(POST, text=None))).outcome is StoreOutcome.EDITED
    assert (await only_post(database)).tagging_status == "skipped"


async def test_an_edit_of_an_unknown_post_stores_it(database: Database, channel_posts: ChannelPosts) -> None:
    assert (await channel_posts.channel_edit(POST)).outcome is StoreOutcome.NEW
    await only_post(database)


async def test_a_forward_is_stored_once_and_its_result_awaited(database: Database, channel_posts: ChannelPosts) -> None:
    reader = await user_id_of(database, READER)
    first = await channel_posts.forwarded(POST, reader, READER)
    assert (first.outcome, first.outbox_id is not None) == (StoreOutcome.NEW, True)
    assert (await channel_posts.forwarded(POST, reader, READER)).outcome is StoreOutcome.KNOWN
    assert (await only_post(database)).user_id == reader
    async with database.read() as session:
        rows = (await session.execute(select(OutboxRow).order_by(OutboxRow.id))).scalars().all()
    assert [(row.kind, row.telegram_id, row.chat_id, row.ready_at) for row in rows] == [
        ("result", READER, READER, None)
    ] * 2


async def test_a_forward_of_a_tagged_post_waits_for_nothing(database: Database, channel_posts: ChannelPosts) -> None:
    reader = await user_id_of(database, READER)
    await channel_posts.forwarded(POST, reader, READER)
    async with database.write() as session:
        await session.execute(update(Post).values(tags=["a"], tagging_status="success"))
    receipt = await channel_posts.forwarded(POST, reader, READER)
    assert (receipt.outcome, receipt.outbox_id) == (StoreOutcome.KNOWN, None)


async def test_the_same_message_is_a_post_of_each_user(database: Database, channel_posts: ChannelPosts) -> None:
    await channel_posts.channel_post(POST)
    assert (await channel_posts.forwarded(POST, await user_id_of(database, READER), READER)).outcome is StoreOutcome.NEW
    async with database.read() as session:
        assert (await session.execute(select(func.count(func.distinct(Post.channel_id))))).scalar_one() == 1


async def channels(database: Database) -> list[tuple[str, int | None]]:
    async with database.read() as session:
        query = select(Channel.channel_username, Channel.channel_id).order_by(Channel.id)
        return [(name, number) for name, number in (await session.execute(query))]


async def test_a_channel_of_the_parsers_is_found_by_its_name(database: Database, channel_posts: ChannelPosts) -> None:
    async with database.write() as session:
        session.add(Channel(channel_username="thenews"))
    await channel_posts.channel_post(POST)
    assert await channels(database) == [("thenews", CHANNEL)]


async def test_a_channel_of_the_parsers_is_found_by_its_bare_number(
    database: Database, channel_posts: ChannelPosts
) -> None:
    async with database.write() as session:
        session.add(Channel(channel_username="old_name", channel_id=1234567890))
    await channel_posts.channel_post(POST)
    assert await channels(database) == [("old_name", 1234567890)]


async def test_a_nameless_channel_takes_its_name_when_it_gets_one(
    database: Database, channel_posts: ChannelPosts
) -> None:
    await channel_posts.channel_post(replace(POST, channel_username=None))
    assert await channels(database) == [(f"id{CHANNEL}", CHANNEL)]
    await channel_posts.channel_post(replace(POST, message_id=11))
    assert await channels(database) == [("TheNews", CHANNEL)]


async def test_a_name_that_passed_on_stays_with_its_row(database: Database, channel_posts: ChannelPosts) -> None:
    async with database.write() as session:
        session.add(Channel(channel_username="TheNews", channel_id=-1005))
    await channel_posts.channel_post(POST)
    assert await channels(database) == [("TheNews", -1005), (f"id{CHANNEL}", CHANNEL)]
