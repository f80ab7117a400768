"""Hashtags in channels: edits to make, their outcomes, and edits by people."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from services.accounts.people import People
from services.hashtags.formatting import EditableMessage
from services.hashtags.service import ChannelHashtags, MessageEdit, SwitchResult, UndoResult
from services.ingest.channel_posts import ChannelPosts, IncomingPost, StoreOutcome
from services.ingest.store import store
from services.library.bot_queries import BotQueries
from services.sources.base import Delivery, SourceChannel, SourcePost
from storage.db.engine import Database
from storage.queue.claim import Priority, claim_posts
from storage.queue.leases import settle
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import OutboxRow, Post, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CHANNEL, OWNER, READER = -1001234567890, 1, 4
BOLD = {"type": "bold", "offset": 0, "length": 5}
POST = IncomingPost(
    channel_telegram_id=CHANNEL,
    channel_title="News",
    channel_username="TheNews",
    message_id=10,
    text="Hello",
    posted_at=NOW,
    original=EditableMessage("Hello", [BOLD]),
)


class World:
    """The use cases on one database, with a clock."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        people = People(database, frozenset(), lambda: self.now)
        self.channel_posts = ChannelPosts(database, people, lambda: None, lambda: self.now)
        self.hashtags = ChannelHashtags(database, lambda: None, lambda: self.now)

    async def tagged(self, *tags: str) -> None:
        """Give these tags to every post, as a worker does."""
        async with self.database.write() as session:
            await session.execute(
                update(Post).values(tagging_status="pending", requested_at=self.now, lease_token=None)
            )
            claimed = await claim_posts(session, limit=9, now=self.now, lease_seconds=60, token="t", after_user=0)
            values = {"tagging_status": "success", "tags": list(tags), "requested_at": None}
            self.settled = await settle(session, [(post, values) for post in claimed])

    async def written(self, seconds: int = 10) -> MessageEdit:
        """The due edit, which Telegram accepts `seconds` after the post."""
        (edit,) = await self.hashtags.due()
        await self.hashtags.written(edit, NOW + timedelta(seconds=seconds))
        return edit

    async def edited(self, text: str, seconds: int = 20, **changes: Any) -> StoreOutcome:
        """A person's edit, `seconds` after the post."""
        at = NOW + timedelta(seconds=seconds)
        post = replace(POST, text=text or None, edited_at=at, original=EditableMessage(text) if text else None)
        return (await self.channel_posts.channel_edit(replace(post, **changes))).outcome

    async def row(self) -> HashtagRow:
        async with self.database.read() as session:
            return (await session.execute(select(HashtagRow))).scalar_one()

    async def post(self) -> Post:
        async with self.database.read() as session:
            return (await session.execute(select(Post).order_by(Post.id).limit(1))).scalar_one()

    async def notices(self) -> list[Any]:
        async with self.database.read() as session:
            query = select(OutboxRow.payload).where(OutboxRow.kind == "channel")
            return list((await session.execute(query)).scalars())


@pytest.fixture
async def world(database: Database) -> World:
    """A channel with hashtags on, and a post in it that waits for tags."""
    async with database.write() as session:
        session.add_all([User(telegram_id=OWNER), User(telegram_id=READER)])
    made = World(database)
    await made.channel_posts.bot_added(CHANNEL, "News", "TheNews", OWNER, can_edit=True)
    assert await made.hashtags.switch(OWNER, CHANNEL, on=True) is SwitchResult.DONE
    await made.channel_posts.channel_post(POST)
    return made


async def test_what_is_written_is_the_post_with_its_tags(world: World) -> None:
    assert await world.hashtags.due() == []
    await world.tagged("кот", "2024", "большая рыба")
    assert world.settled.hashtagged
    edit = await world.written()
    assert (edit.text, edit.original.entities) == ("Hello\n\n#кот #большая_рыба", [BOLD])
    row = await world.row()
    assert (row.state, row.line, row.text) == ("written", "#кот #большая_рыба", "Hello")
    assert await world.hashtags.due() == []


async def test_tags_that_make_no_hashtag_are_not_written(world: World) -> None:
    await world.tagged("2024")
    assert await world.hashtags.due() == []
    assert (await world.row()).state == "written"


async def test_better_tags_are_written_and_the_same_are_not(world: World) -> None:
    await world.tagged("кот")
    await world.written()
    await world.tagged("кот")
    assert await world.hashtags.due() == []
    await world.tagged("пёс")
    assert (await world.written()).text == "Hello\n\n#пёс"


async def test_one_message_of_a_channel_at_a_time(world: World) -> None:
    later = replace(POST, message_id=11, text="Later", original=EditableMessage("Later"))
    await world.channel_posts.channel_post(later)
    await world.tagged("кот")
    assert [edit.message_id for edit in await world.hashtags.due()] == [10]
    assert await world.hashtags.due({CHANNEL}) == []


@pytest.mark.parametrize("when", ["before it is known", "after"])
async def test_our_own_edit_is_none_of_the_post(world: World, when: str) -> None:
    await world.tagged("кот")
    (edit,) = await world.hashtags.due()
    if when == "after":
        await world.hashtags.written(edit, NOW + timedelta(seconds=10))
    ours = EditableMessage(edit.text, [BOLD, {"type": "hashtag", "offset": 7, "length": 4}])
    assert await world.edited(edit.text, 10, original=ours) is StoreOutcome.KNOWN
    assert (await world.post()).tagging_status == "success"
    await world.hashtags.written(edit, NOW + timedelta(seconds=10))
    assert (await world.row()).state == "written"


async def test_a_persons_edit_that_keeps_the_line(world: World) -> None:
    await world.tagged("кот")
    await world.written()
    assert await world.edited("Changed\n\n#кот") is StoreOutcome.EDITED
    assert ((await world.post()).text, (await world.post()).tagging_status) == ("Changed", "pending")
    assert ((await world.row()).text, (await world.row()).line) == ("Changed", "#кот")
    await world.tagged("пёс")
    assert (await world.written(30)).text == "Changed\n\n#пёс"


async def test_a_line_removed_by_hand_stays_away(world: World) -> None:
    await world.tagged("кот")
    await world.written()
    assert await world.edited("Hello") is StoreOutcome.KNOWN
    assert (await world.row()).state == "undone"
    await world.tagged("пёс")
    assert await world.hashtags.due() == []


async def test_a_text_that_was_deleted_is_not_written_again(world: World) -> None:
    assert await world.edited("") is StoreOutcome.EDITED
    await world.tagged("кот")
    assert await world.hashtags.due() == []
    assert (await world.row()).state == "refused"


async def test_an_edit_that_ours_wrote_over_is_written_again(world: World) -> None:
    """The person's edit precedes ours, but its update arrives later."""
    await world.tagged("кот")
    await world.written(10)
    assert await world.edited("Changed", 9) is StoreOutcome.EDITED
    assert (await world.row()).state == "waiting"
    await world.tagged("кот")
    assert (await world.written(30)).text == "Changed\n\n#кот"


@pytest.mark.parametrize("seconds", [29, 30])
@pytest.mark.parametrize("is_echoed", [False, True], ids=["", "echoed"])
async def test_an_edit_that_better_tags_wrote_over_is_put_back(world: World, seconds: int, is_echoed: bool) -> None:
    """The person's edit contains the earlier hashtags, which ours has replaced."""
    await world.tagged("кот")
    await world.written(10)
    await world.tagged("пёс")
    ours = await world.written(30)
    assert await world.edited("Changed\n\n#кот", seconds) is StoreOutcome.EDITED
    if is_echoed:
        assert await world.edited(ours.text, 30, original=EditableMessage(ours.text, [BOLD])) is StoreOutcome.KNOWN
    await world.tagged("пёс")
    assert (await world.written(40)).text == "Changed\n\n#пёс"
    assert (await world.row()).state == "written"


@pytest.mark.parametrize("seconds", [29, 30])
@pytest.mark.parametrize("is_echoed", [False, True], ids=["", "echoed"])
@pytest.mark.parametrize("line", ["", "\n\n#кот"], ids=["without", "with"])
async def test_an_edit_that_an_undo_wrote_over_is_put_back(
    world: World, seconds: int, is_echoed: bool, line: str
) -> None:
    await world.tagged("кот")
    await world.written(10)
    await world.hashtags.undo(OWNER, (await world.row()).post_id)
    await world.written(30)
    assert await world.edited(f"Changed{line}", seconds) is StoreOutcome.EDITED
    if is_echoed:
        assert await world.edited("Hello", 30, original=EditableMessage("Hello", [BOLD])) is StoreOutcome.KNOWN
    assert (await world.written(40)).text == "Changed"
    assert [notice["text"] for notice in await world.notices()] == ["hashtags_removed"]
    assert (await world.row()).state == "undone"
    await world.tagged("пёс")
    assert await world.hashtags.due() == []


@pytest.mark.parametrize(
    "original",
    [EditableMessage("Hello\n\n#кот"), EditableMessage("Hello\n\n#кот", [BOLD], options={"reply_markup": {}})],
)
async def test_formatting_and_buttons_that_ours_wrote_over_are_put_back(
    world: World, original: EditableMessage
) -> None:
    await world.tagged("кот")
    await world.written(10)
    await world.tagged("пёс")
    await world.written(30)
    assert await world.edited(original.text, 29, original=original) is StoreOutcome.KNOWN
    edit = await world.written(40)
    assert (edit.original.entities, edit.original.options) == (original.entities or [], original.options)
    assert edit.text == "Hello\n\n#пёс"


async def test_our_own_earlier_edit_changes_nothing(world: World) -> None:
    await world.tagged("кот")
    first = await world.written(10)
    await world.tagged("пёс")
    second = await world.written(30)
    assert await world.edited(first.text, 10, original=EditableMessage(first.text, [BOLD])) is StoreOutcome.KNOWN
    assert await world.hashtags.due() == []
    await world.hashtags.undo(OWNER, first.post_id)
    await world.written(40)
    assert await world.edited(second.text, 30, original=EditableMessage(second.text, [BOLD])) is StoreOutcome.KNOWN
    assert await world.hashtags.due() == []


async def test_a_caption_that_was_deleted_before_ours_is_deleted_again(world: World) -> None:
    await world.edited("Photo", 5, original=EditableMessage("Photo", is_caption=True))
    async with world.database.write() as session:
        await session.execute(update(HashtagRow).values(is_caption=True))
    await world.tagged("кот")
    await world.written(10)
    await world.edited("", 9, original=EditableMessage("", is_caption=True))
    assert (await world.written(30)).text == ""
    assert (await world.row()).state == "undone"


async def test_an_edit_before_ours_that_must_not_be_edited_is_left_alone(world: World) -> None:
    await world.tagged("кот")
    await world.written(10)
    await world.edited("Changed", 9, original=EditableMessage("Changed", obstacle="custom emoji"))
    await world.tagged("кот")
    assert await world.hashtags.due() == []
    assert (await world.row()).state == "refused"


async def test_an_edit_that_comes_while_ours_is_on_its_way(world: World) -> None:
    await world.tagged("кот")
    (edit,) = await world.hashtags.due()
    assert await world.edited("Changed", 9) is StoreOutcome.EDITED
    await world.hashtags.written(edit, NOW + timedelta(seconds=10))
    await world.tagged("кот")
    assert (await world.written(30)).text == "Changed\n\n#кот"


async def test_a_persons_edit_after_a_crash_in_between(world: World) -> None:
    """Telegram accepted our edit, but the process died before it was recorded."""
    await world.tagged("кот")
    await world.hashtags.due()
    assert await world.edited("Changed\n\n#кот") is StoreOutcome.EDITED
    assert ((await world.post()).text, (await world.row()).text) == ("Changed", "Changed")


async def test_undo_is_for_good_and_for_the_owner(world: World) -> None:
    await world.tagged("кот")
    await world.written()
    post_id = (await world.row()).post_id
    assert await world.hashtags.undo(READER, post_id) is UndoResult.NOT_THEIRS
    assert await world.hashtags.undo(OWNER, post_id) is UndoResult.BEGUN
    assert await world.hashtags.undo(OWNER, post_id) is UndoResult.BEGUN
    assert (await world.written(30)).text == "Hello"
    assert (await world.row()).state == "undone"
    assert await world.hashtags.undo(OWNER, post_id) is UndoResult.NOTHING
    assert await world.edited("Hello\n\n#кот", 40) is StoreOutcome.KNOWN
    await world.tagged("пёс")
    assert await world.hashtags.due() == []


async def test_undo_while_it_is_written_again(world: World) -> None:
    await world.tagged("кот")
    await world.written()
    await world.tagged("пёс")
    (edit,) = await world.hashtags.due()
    await world.hashtags.undo(OWNER, edit.post_id)
    await world.hashtags.written(edit, NOW + timedelta(seconds=30))
    assert (await world.written(40)).text == "Hello"


async def test_a_refusal_ends_it_for_the_post(world: World) -> None:
    await world.tagged("кот")
    (edit,) = await world.hashtags.due()
    await world.hashtags.refused(edit, "message to edit not found")
    await world.tagged("пёс")
    assert await world.hashtags.due() == []
    assert await world.notices() == []
    assert (await world.hashtags.channels(OWNER)).channels[0].is_on


@pytest.mark.parametrize("is_gone", [False, True])
async def test_after_a_refusal_the_hashtags_from_before_can_be_removed(world: World, is_gone: bool) -> None:
    """Unless the message is gone."""
    await world.tagged("кот")
    await world.written(10)
    await world.tagged("пёс")
    (edit,) = await world.hashtags.due()
    await world.hashtags.refused(edit, "MESSAGE_TOO_LONG", is_gone=is_gone)
    card = await BotQueries(world.database, lambda: NOW).post(edit.post_id, user_id=None)
    assert card is not None
    assert card.hashtags_of == (None if is_gone else OWNER)
    assert (await world.hashtags.channels(OWNER)).last_written == (None if is_gone else edit.post_id)
    assert await world.hashtags.undo(OWNER, edit.post_id) is (UndoResult.NOTHING if is_gone else UndoResult.BEGUN)
    if not is_gone:
        assert (await world.written(30)).text == "Hello"
        assert (await world.row()).state == "undone"


@pytest.mark.parametrize("how", ["refused", "rights", "removed"])
async def test_without_the_right_it_is_off_and_told_once(world: World, how: str) -> None:
    await world.tagged("кот")
    (edit,) = await world.hashtags.due()
    for _ in range(2):
        if how == "refused":
            await world.hashtags.refused(edit, "not enough rights", rights_lost=True)
        elif how == "rights":
            await world.channel_posts.bot_added(CHANNEL, "News", "TheNews", OWNER, can_edit=False)
        else:
            await world.channel_posts.bot_removed(CHANNEL)
    text = "taken_out" if how == "removed" else "hashtags_off"
    assert await world.notices() == [{"text": text, "title": "News"}]
    assert await world.hashtags.due() == []
    assert await world.hashtags.switch(OWNER, CHANNEL, on=True) in {SwitchResult.NO_RIGHT, SwitchResult.NOT_THEIRS}


async def test_a_change_of_other_rights_leaves_it_on(world: World) -> None:
    await world.channel_posts.bot_added(CHANNEL, "News", "TheNews", READER, can_edit=True)
    assert (await world.hashtags.channels(OWNER)).channels[0].is_on
    assert await world.hashtags.switch(READER, CHANNEL, on=False) is SwitchResult.NOT_THEIRS


async def test_posts_from_before_get_none(world: World) -> None:
    assert await world.hashtags.switch(OWNER, CHANNEL, on=False) is SwitchResult.DONE
    await world.tagged("кот")
    world.now += timedelta(minutes=1)
    await world.hashtags.switch(OWNER, CHANNEL, on=True)
    assert await world.edited("Changed", 90) is StoreOutcome.EDITED
    await world.channel_posts.channel_edit(replace(POST, message_id=5, original=EditableMessage("Old"), text="Old"))
    await world.tagged("кот")
    assert await world.hashtags.due() == []


async def test_the_preview_and_forwards_show_the_post_without_our_line(world: World) -> None:
    await world.tagged("кот")
    edit = await world.written()
    post = await world.post()
    reader_id = post.user_id + 1
    shown = SourcePost(10, edit.text, NOW)
    delivery = Delivery(SourceChannel(CHANNEL, "TheNews", "News"), [shown], position=10)
    async with world.database.write() as session:
        mine = await store(session, post.user_id, delivery, world.now, work_class=Priority.FRESH)
        theirs = await store(session, reader_id, delivery, world.now)
    assert (mine.known, mine.edited, theirs.new) == (1, 0, 1)
    forwarded = replace(POST, message_id=10, text=edit.text, original=None)
    assert (await world.channel_posts.forwarded(forwarded, reader_id, READER)).outcome is StoreOutcome.KNOWN
    async with world.database.read() as session:
        assert set((await session.execute(select(Post.text))).scalars()) == {"Hello"}


async def test_edits_and_results_at_the_same_time(world: World) -> None:
    """They lock the post and its HashtagRow in different order, without a deadlock."""
    await world.tagged("кот")
    await world.written()
    edits = [world.edited(f"Changed {number}\n\n#кот", 20 + number) for number in range(8)]
    await asyncio.gather(*edits, *(world.tagged(f"кот {number}") for number in range(8)))
    row = await world.row()
    assert row.text == (await world.post()).text
