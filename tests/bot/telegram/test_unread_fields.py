"""What Telegram sends in a form that aiogram refuses is handled by what can be read of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from bot.telegram.dispatcher import make_bot
from bot.telegram.raw_update import read_update
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.notifications.update_alerts import UpdateAlerts
from storage.db.engine import Database
from storage.schema.tables import OutboxRow, Post
from tests.bot.running import BEN, BOSS, Running, running_bot, until
from tests.bot.telegram.hostile import member

Json = dict[str, Any]

CHANNEL = -1001234567890
ALERT = "I cannot read all that Telegram sends"
#: A poll of an older server: without `allows_revoting` and `members_only`.
OLD_POLL = {"id": "1", "question": "Tea or coffee?", "options": [{"text": "Tea", "voter_count": 0}], "type": "regular"}
HOLOGRAM = {"type": "hologram", "layers": [{"text": "Seen from afar"}]}

#: Content of a channel's post → the text that is stored, the field that aiogram refuses (None: it refuses nothing).
POSTS: dict[str, tuple[Json, str | None, str | None]] = {
    "a rich message": (
        {"rich_message": {"blocks": [{"type": "paragraph", "text": ["A ", {"type": "bold", "text": "bridge"}]}]}},
        "A bridge",
        None,
    ),
    "a block of tomorrow": (
        {"rich_message": {"blocks": [{"type": "paragraph", "text": "A bridge"}, HOLOGRAM]}},
        "A bridge\nSeen from afar",
        "channel_post.rich_message.blocks.1",
    ),
    "a format of tomorrow": (
        {"rich_message": {"blocks": [{"type": "paragraph", "text": {"type": "glow", "text": "A bridge"}}]}},
        "A bridge",
        "channel_post.rich_message.blocks.0",
    ),
    "paid media of tomorrow": (
        {"paid_media": {"star_count": 1, "paid_media": [{"type": "hologram"}]}, "caption": "A bridge"},
        "A bridge",
        "channel_post.paid_media.paid_media.0",
    ),
    "a poll": ({"poll": OLD_POLL}, "Tea or coffee?\n— Tea", "channel_post.poll.options.0"),
    "a checklist": ({"checklist": {"title": "Packing", "tasks": [{"id": 1, "text": "Rope"}]}}, "Packing\n— Rope", None),
    "an odd entity": (
        {"text": "A bridge", "entities": [{"type": "bold", "offset": 0, "length": 1, "url": 5}]},
        "A bridge",
        "channel_post.entities.0.url",
    ),
    "content of tomorrow": ({"hologram": {"caption": "A bridge"}}, "A bridge", None),
    "content without words": ({"hologram": {"file_id": "1"}}, None, None),
    "no content": ({}, None, None),
    "a photo": ({"photo": [{"file_id": "1", "file_unique_id": "1", "width": 1, "height": 1}]}, None, None),
}


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        telegram.add_channel(CHANNEL, "News", "news")
        telegram.add_bot_to_channel(CHANNEL, BEN)
        await made.shows(BEN, "From now on I tag new posts in News")
        yield made


async def post_of(bot: Running, number: int) -> Post:
    await until(lambda: not bot.telegram.world.updates.pending)
    async with bot.database.read() as session:
        newest = select(Post).where(Post.telegram_message_id == number).order_by(Post.id.desc()).limit(1)
        return (await session.execute(newest)).scalar_one()


def alerts(bot: Running) -> list[str]:
    return [message["text"] for message in bot.telegram.from_bot(BOSS) if ALERT in message["text"]]


async def test_every_kind_of_post_is_stored_with_its_words(bot: Running, telegram: TelegramSandbox) -> None:
    """What cannot be read is told once, by the field's name, and without the post's words."""
    for what, (content, text, _) in POSTS.items():
        number = telegram.channel_post(CHANNEL, **{"text": "", **content})
        stored = await post_of(bot, number)
        assert stored.text == text, what
        unsupported = what in {"content without words", "no content"}
        assert stored.failure_kind == ("unsupported" if unsupported else None), what
    await bot.shows(BOSS, ALERT)
    assert ["rich_message.blocks.1" in text and "bridge" not in text for text in alerts(bot)] == [True]


@pytest.mark.parametrize("what", [name for name, (_, _, field) in POSTS.items() if field])
async def test_the_field_is_named(what: str) -> None:
    content, _, field = POSTS[what]
    bot = make_bot("1:a")
    chat = {"id": CHANNEL, "type": "channel", "title": "News"}
    post = {"message_id": 1, "date": 1, "chat": chat, **content}
    update, received = read_update({"update_id": 1, "channel_post": post}, bot)
    assert update is not None
    assert (received.fault or "").startswith(field or "?")
    await bot.session.close()


async def test_a_post_that_cannot_be_read_is_not_called_empty(bot: Running, telegram: TelegramSandbox) -> None:
    stored = await post_of(bot, telegram.channel_post(CHANNEL, "", hologram={"file_id": "1"}))
    photo = [{"file_id": "1", "file_unique_id": "1", "width": 1, "height": 1}]
    empty = await post_of(bot, telegram.channel_post(CHANNEL, "", photo=photo))
    assert "of a kind that I cannot read" in (await bot.say(BEN, f"/post {stored.id}"))["text"]
    assert "no text to tag" in (await bot.say(BEN, f"/post {empty.id}"))["text"]
    elsewhere = {"id": -1009, "type": "channel", "title": "Elsewhere"}
    origin = {"type": "channel", "date": 1, "chat": elsewhere, "message_id": 5}
    telegram.send_text(BEN, "", forward_origin=origin, hologram={"file_id": "1"})
    await bot.shows(BEN, "⏭ This post is of a kind that I cannot read.")


async def test_a_forwarded_poll_is_tagged_by_its_words(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.add_channel(-1009, "Elsewhere", "elsewhere")
    origin = {"type": "channel", "date": 1, "chat": telegram.world.chats[-1009].shown(), "message_id": 5}
    telegram.send_text(BEN, "", forward_origin=origin, poll=OLD_POLL)
    await bot.shows(BEN, "✅")
    assert (await post_of(bot, 5)).text == "Tea or coffee?\n— Tea"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"hologram": {"file_id": "1"}}, "The city opens a library"),
        ({}, "The city opens a library"),
        (
            {"rich_message": {"blocks": [{"type": "paragraph", "text": "A library"}, HOLOGRAM]}},
            "A library\nSeen from afar",
        ),
        ({"photo": [{"file_id": "1", "file_unique_id": "1", "width": 1, "height": 1}]}, None),
    ],
    ids=["without words", "nothing", "with words", "a photo"],
)
async def test_an_edit_that_cannot_be_read_empties_no_text(
    bot: Running, telegram: TelegramSandbox, content: Json, text: str | None
) -> None:
    number = telegram.channel_post(CHANNEL, "The city opens a library")
    await post_of(bot, number)
    telegram.edit_channel_post(CHANNEL, number, "", **content)
    assert (await post_of(bot, number)).text == text


async def test_an_older_server_that_knows_fewer_rights(bot: Running, telegram: TelegramSandbox) -> None:
    """The channel is known, its posts are stored, and hashtags can be switched on and off."""
    telegram.world.unknown_rights = frozenset({"can_send_welcome_messages", "can_post_stories"})
    telegram.add_channel(-1009, "Late", "late")
    telegram.add_bot_to_channel(-1009, BEN)
    await bot.shows(BEN, "From now on I tag new posts in Late")
    assert (await post_of(bot, telegram.channel_post(-1009, "The city opens a library", 77))).text
    listed = await bot.say(BEN, "/hashtags")
    await telegram.press(BEN, listed["message_id"], "⬜ Late")
    await bot.shows(BEN, "Hashtags in Late?", listed["message_id"])
    telegram.set_bot_rights(-1009, BEN, can_edit=False)
    await until(lambda: not telegram.world.updates.pending)
    await telegram.press(BEN, listed["message_id"], "✅ Switch on")
    assert "not allowed to edit" in (await bot.shows(BEN, "Late", listed["message_id"]))["text"]


async def test_a_press_on_a_message_that_cannot_be_read_is_done(bot: Running, telegram: TelegramSandbox) -> None:
    shown = await bot.say(BEN, "/stats")
    stored = telegram.world.message(BEN, shown["message_id"])
    assert stored is not None
    stored.data["poll"] = OLD_POLL
    await telegram.press(BEN, shown["message_id"], 0)
    assert "You have 3 posts" in (await bot.shows(BEN, "You have 3 posts", shown["message_id"]))["text"]


async def test_a_status_of_tomorrow_takes_nobodys_channel(bot: Running, telegram: TelegramSandbox) -> None:
    """It is told, and the channel's posts go on being stored."""
    chat = telegram.world.chats[CHANNEL].shown()
    telegram.push_update(member("emperor", chat=chat))
    await bot.shows(BOSS, "my_chat_member.new_chat_member")
    assert (await post_of(bot, telegram.channel_post(CHANNEL, "The city opens a library", 77))).text


async def test_the_administrators_are_told_once_a_day(database: Database) -> None:
    """Also by the next process, and of the first field only."""
    day = utc_now().replace(hour=1)
    times = [(day, "a.b"), (day.replace(hour=5), "c.d"), (day.replace(day=day.day % 28 + 1, year=day.year + 1), "e.f")]
    for now, field in times:
        told = UpdateAlerts(database, {1, 2}, partial(datetime.fromtimestamp, now.timestamp(), UTC))
        for _ in range(3):
            await told.unreadable(field)
    async with database.read() as session:
        rows = (await session.execute(select(OutboxRow.telegram_id, OutboxRow.payload).order_by(OutboxRow.id))).all()
    assert [(who, (payload or {})["field"]) for who, payload in rows] == [
        (1, "a.b"),
        (2, "a.b"),
        (1, "e.f"),
        (2, "e.f"),
    ]
