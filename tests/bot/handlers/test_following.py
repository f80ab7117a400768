"""Public channels in the chat: /add, /channels, /remove, their buttons, and unasked messages about channels."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bot.keyboards.channels.channels import ChannelAction, ChannelButton, ChannelListButton
from bot.keyboards.channels.following import FollowButton
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.following.poller import Poller
from services.following.service import ChannelService
from services.sources.base import SourceGoneError
from storage import outbox as rows
from storage.db.engine import Database
from storage.schema.source_tables import Follow as FollowRow
from storage.schema.source_tables import SourceRow
from storage.schema.tables import Post
from tests.bot.running import ANNA, BEN, Running, running_bot
from tests.services.following.channel_world import Shelf

CHANNEL = -1001234567890
#: users.id of Ben and Anna; their channels have the same ids.
BENS, ANNAS = 2, 1


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    # A press that changes nothing edits nothing.
    assert [error for error in telegram.errors if "not modified" not in error.description] == []
    assert telegram.unanswered() == []


@pytest.fixture
def shelf() -> Shelf:
    """The public channels of the preview."""
    shelf = Shelf()
    shelf.fill("gorod", range(1, 301))
    shelf.fill("selo", range(1, 4))
    return shelf


async def read(bot: Running, shelf: Shelf) -> None:
    """Read all channels that are due, while the bot sends the notices."""
    nothing = {"on_posts": lambda: None, "on_news": lambda: None}
    poller = Poller(bot.database, shelf, frozenset(), utc_now, Random(1), **nothing)
    while not await poller.work():
        pass


async def scalar(bot: Running, query: Any) -> Any:
    async with bot.database.read() as session:
        return (await session.execute(query)).scalar_one_or_none()


async def follow(bot: Running, *names: str, user_id: int = BENS) -> list[int]:
    added = await ChannelService(bot.database, lambda: None, utc_now).add(user_id, names, None)
    return [each.channel_id or 0 for each in added]


def words(telegram: TelegramSandbox, message: dict[str, Any], person: int = BEN) -> list[str]:
    return [button["text"] for button in telegram.buttons(person, message["message_id"])]


def forged(action: ChannelAction, channel: int, *, page: int = 1, card: bool = False) -> str:
    return ChannelButton(action=action, channel=channel, page=page, card=card).pack()


async def test_a_channel_is_added_and_its_message_shows_what_came_of_it(
    bot: Running, telegram: TelegramSandbox, shelf: Shelf
) -> None:
    answer = await bot.say(BEN, "/add https://t.me/s/gorod")
    assert answer["text"] == "⏳ Reading @gorod…"
    await _attached(bot, answer)
    await read(bot, shelf)
    added = await bot.shows(BEN, "All gorod (@gorod): 50 posts read", answer["message_id"])
    assert words(telegram, added) == ["⏪ 200 older posts", "⏮ All older posts", "📡 My channels"]
    await telegram.press(BEN, added["message_id"], "📡 My channels")
    listed = await bot.shows(BEN, "2 channels")
    assert listed["message_id"] != added["message_id"]
    # The posts are tagged meanwhile.
    assert re.search(r"50 posts, \d+% tagged\nchecked", listed["text"])


async def _attached(bot: Running, message: dict[str, Any]) -> None:
    """Wait until the bot has attached its answer, which it does after sending it."""
    at = select(FollowRow.message_id).where(FollowRow.message_id == message["message_id"])
    async with asyncio.timeout(10):
        while await scalar(bot, at) is None:  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.01)


async def test_of_several_each_has_its_message_and_the_rest_a_list(bot: Running, telegram: TelegramSandbox) -> None:
    await follow(bot, "known")
    telegram.send_text(BEN, "/add @gorod, t.me/selo\nknown https://t.me/+AbCd t.me/share/url ab")
    listed = await bot.shows(BEN, "Followed already")
    assert listed["text"].splitlines() == [
        "✅ Followed already; I look for new posts now: @known",
        "🔒 Private, so I cannot read it (make me an administrator there): https://t.me/+AbCd",
        "🚫 Not a link to a channel: t.me/share/url",
        "🚫 Not a channel's name (one looks like @name or t.me/name): ab",
    ]
    assert [m["text"] for m in telegram.from_bot(BEN)[:2]] == ["⏳ Reading @gorod…", "⏳ Reading @selo…"]


async def test_of_many_only_a_list_is_told(bot: Running, telegram: TelegramSandbox) -> None:
    answer = await bot.say(BEN, "/add " + " ".join(f"name{n}" for n in range(1, 7)))
    assert answer["text"] == "⏳ Reading: @name1, @name2, @name3, @name4, @name5, @name6"
    await bot.say(BEN, "/help")
    assert len(telegram.from_bot(BEN)) == 2


async def test_a_name_that_cannot_be_read_is_told_in_its_message(
    bot: Running, telegram: TelegramSandbox, shelf: Shelf
) -> None:
    shelf.errors["nobody"] = SourceGoneError("no preview")
    answer = await bot.say(BEN, "/add @nobody")
    await _attached(bot, answer)
    await read(bot, shelf)
    gone = await bot.shows(BEN, "@nobody cannot be read", answer["message_id"])
    assert "Check the name" in gone["text"]
    assert "1 channel" in (await bot.say(BEN, "/channels"))["text"]
    # Later it is a message of its own.
    await follow(bot, "gorod")
    await read(bot, shelf)
    shelf.errors["gorod"] = SourceGoneError("no preview")
    await ChannelService(bot.database, lambda: None, utc_now).add(BENS, ["gorod"], BEN)
    await read(bot, shelf)
    await bot.shows(BEN, "All gorod (@gorod) cannot be read any more")
    assert "cannot be read: there is no such public channel" in (await bot.say(BEN, "/channels"))["text"]


async def test_add_as_a_reply_adds_the_channel_of_the_forwarded_post(bot: Running, telegram: TelegramSandbox) -> None:
    def post(channel: dict[str, Any]) -> dict[str, Any]:
        origin = {"type": "channel", "date": 1_700_000_000, "chat": channel, "message_id": 7}
        chat = {"id": BEN, "type": "private", "first_name": "Ben"}
        return {"message_id": 1, "date": 1_700_000_000, "chat": chat, "text": "News", "forward_origin": origin}

    public = {"id": CHANNEL, "type": "channel", "title": "News", "username": "gorod"}
    telegram.send_text(BEN, "/add", reply_to_message=post(public))
    await bot.shows(BEN, "Reading @gorod")
    del public["username"]
    telegram.send_text(BEN, "/add", reply_to_message=post(public))
    await bot.shows(BEN, "has no public name")
    assert "/add @name" in (await bot.say(BEN, "/add"))["text"]


async def test_a_forwarded_post_offers_to_follow_its_channel(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.add_channel(CHANNEL, "City", "gorod")
    telegram.send_forward(BEN, CHANNEL, 5, "The city opens a new library", 1_700_000_000)
    saved = await bot.shows(BEN, "✅ #")
    *tags, follow = words(telegram, saved)
    assert follow == "➕ Follow @gorod"
    data = FollowButton(name="gorod").pack()
    assert (await telegram.press(BEN, saved["message_id"], data)).text == "Reading…"
    await bot.shows(BEN, "Reading @gorod")
    await telegram.wait_for(lambda: words(telegram, saved) == tags)
    again = await telegram.press(BEN, saved["message_id"], data, forge=True)
    assert again.text == "You follow @gorod already."
    telegram.send_forward(BEN, CHANNEL, 6, "The city closes an old library", 1_700_000_000)
    tagged = await telegram.wait_for(lambda: [m for m in telegram.from_bot(BEN) if "✅" in m["text"]][1:])
    assert "➕ Follow @gorod" not in words(telegram, tagged[0])


async def test_a_bare_name_or_link_is_answered_with_the_offer_to_follow(
    bot: Running, telegram: TelegramSandbox
) -> None:
    for said in ("@gorod", "https://t.me/gorod/15"):
        offered = await bot.say(BEN, said)
        assert "Shall I read the public channel @gorod?" in offered["text"]
        assert words(telegram, offered) == ["➕ Follow @gorod"]
    assert (await telegram.press(BEN, offered["message_id"], "➕ Follow @gorod")).text == "Reading…"
    await bot.shows(BEN, "Reading @gorod")
    assert (await bot.say(BEN, "@Gorod"))["text"] == "You follow @Gorod already: /channels"
    assert "Nothing found" in (await bot.say(BEN, "gorod"))["text"]


async def test_one_channel_has_buttons_with_words(bot: Running, telegram: TelegramSandbox, shelf: Shelf) -> None:
    async with bot.database.write() as session:
        await session.execute(update(Post).where(Post.user_id == BENS).values(user_id=ANNAS))
    assert "/add @name" in (await bot.say(BEN, "/channels"))["text"]
    [selo] = await follow(bot, "selo")
    await read(bot, shelf)
    await bot.shows(BEN, "3 posts read.")
    listed = await bot.say(BEN, "/channels")
    at = listed["message_id"]
    assert words(telegram, listed) == ["⏸ Pause", "🔄 Fetch now", "🗑 Remove"]
    assert (await telegram.press(BEN, at, "🔄 Fetch now")).text == "Reading…"
    due = await scalar(bot, select(SourceRow.next_check_at).where(SourceRow.channel_id == selo))
    assert due <= utc_now()
    await telegram.press(BEN, at, "⏸ Pause")
    paused = await bot.shows(BEN, "⏸ paused", at)
    assert words(telegram, paused) == ["▶️ Resume", "🗑 Remove"]
    stale = forged(ChannelAction.FETCH, selo)
    assert (await telegram.press(BEN, at, stale, forge=True)).text == "It's paused: resume it first."
    await telegram.press(BEN, at, "▶️ Resume")
    await bot.shows(BEN, "checked", at)
    await telegram.press(BEN, at, "🗑 Remove")
    asked = await bot.shows(BEN, "Its 3 posts stay, unless", at)
    assert words(telegram, asked) == ["🗑 Remove, keep posts", "❌ Remove with its posts", "⬅️ Back"]
    await telegram.press(BEN, at, "⬅️ Back")
    await bot.shows(BEN, "checked", at)
    toast = (await telegram.press(BEN, at, forged(ChannelAction.KEEP, selo), forge=True)).text
    assert toast == "Unfollowed; its posts stay."
    kept = await bot.shows(BEN, "added by forwarding or from a file", at)
    assert words(telegram, kept) == ["🗑 Remove", "➕ Follow @selo"]
    await telegram.press(BEN, at, "🗑 Remove")
    assert words(telegram, await bot.shows(BEN, "with its 3 posts?", at)) == ["❌ Remove with its posts", "⬅️ Back"]
    assert (await telegram.press(BEN, at, "❌ Remove with its posts")).text == "Removed."
    await bot.shows(BEN, "You have no channels yet", at)
    twice = await telegram.press(BEN, at, forged(ChannelAction.DROP, selo), forge=True)
    assert twice.text == "This channel is not among yours."
    assert await scalar(bot, select(func.count()).select_from(Post).where(Post.user_id == BENS)) == 0


async def test_older_posts_are_read_with_progress_until_stopped(
    bot: Running, telegram: TelegramSandbox, shelf: Shelf
) -> None:
    [gorod] = await follow(bot, "gorod")
    await read(bot, shelf)
    added = await bot.shows(BEN, "50 posts read.")
    at = added["message_id"]
    assert (await telegram.press(BEN, at, "⏪ 200 older posts")).text == "Reading…"
    running = await bot.shows(BEN, "older posts: 0 read…", at)
    assert "⏹ Stop" in words(telegram, running)
    await _attached(bot, added)
    await read(bot, shelf)
    done = await bot.shows(BEN, "200 older posts read.", at)
    assert words(telegram, done) == ["⏪ 200 older posts", "⏮ All older posts", "📡 My channels"]
    await telegram.press(BEN, at, "⏮ All older posts")
    await bot.shows(BEN, "older posts: 0 read…", at)
    assert (await telegram.press(BEN, at, "⏹ Stop")).text == "Stopped."
    await telegram.wait_for(lambda: "⏪ 200 older posts" in words(telegram, added))
    await telegram.press(BEN, at, "⏮ All older posts")
    await _attached(bot, added)
    await read(bot, shelf)
    end = await bot.shows(BEN, "beginning: nothing older is left", at)
    assert words(telegram, end) == ["📡 My channels"]
    stale = await telegram.press(BEN, at, forged(ChannelAction.ALL_OLDER, gorod), forge=True)
    assert stale.text == "Nothing to do."


async def test_many_channels_come_in_pages(bot: Running, telegram: TelegramSandbox) -> None:
    """Six on a page, a button for each, which opens its card with the actions in the same message."""
    await follow(bot, *(f"chan{number}" for number in range(1, 8)))
    listed = await bot.say(BEN, "/channels")
    assert "8 channels" in listed["text"]
    assert "page 1 of 2" in listed["text"]
    assert "7. chan7" not in listed["text"]
    assert words(telegram, listed) == [*(f"{n}. chan{n}" for n in range(1, 7)), "➡️"]
    at = listed["message_id"]
    await telegram.press(BEN, at, "➡️")
    second = await bot.shows(BEN, "page 2 of 2", at)
    assert "7. chan7\nno posts yet\nwill be read soon" in second["text"]
    assert "8. Channel 2\n3 posts, 0% tagged\nadded by forwarding or from a file\n\nPress a channel" in second["text"]
    assert words(telegram, second) == ["7. chan7", "8. Channel 2", "⬅️"]
    await telegram.press(BEN, at, "7. chan7")
    await telegram.wait_for(lambda: "⬅️ Back" in words(telegram, second))
    await telegram.press(BEN, at, "⏸ Pause")
    await telegram.wait_for(lambda: "▶️ Resume" in words(telegram, second))
    await telegram.press(BEN, at, "⬅️ Back")
    await bot.shows(BEN, "page 2 of 2", at)
    await telegram.press(BEN, at, ChannelListButton(page=1_000_000, here=True).pack(), forge=True)
    await bot.shows(BEN, "page 2 of 2", at)
    await telegram.press(BEN, at, "7. chan7")
    await telegram.wait_for(lambda: "🗑 Remove" in words(telegram, second))
    await telegram.press(BEN, at, "🗑 Remove")
    await bot.shows(BEN, "Remove chan7 (@chan7)?", at)
    await telegram.press(BEN, at, "🗑 Remove")
    assert "7 channels" in (await bot.shows(BEN, "page 2 of 2", at))["text"]


async def test_others_channels_and_forged_presses_change_nothing(bot: Running, telegram: TelegramSandbox) -> None:
    [hers] = await follow(bot, "gorod", user_id=ANNAS)
    listed = await bot.say(BEN, "/channels")
    at = listed["message_id"]
    for action in ChannelAction:
        answer = await telegram.press(BEN, at, forged(action, hers, card=action > "k"), forge=True)
        assert answer.text == "This channel is not among yours."
    for missing in (ANNAS, 2**31 - 1):
        answer = await telegram.press(BEN, at, forged(ChannelAction.DROP, missing), forge=True, inaccessible=True)
        assert answer.text == "This channel is not among yours."
    for junk in ("channel:drop:0:1:1", f"channel:drop:{2**31}:1:1", "channel:drop:1:0:1", "channels:0:1", "follow:ab"):
        assert (await telegram.press(BEN, at, junk, forge=True)).text == "This button no longer works."
    own = await scalar(bot, select(FollowRow.older_wanted).where(FollowRow.user_id == ANNAS))
    assert own == 50
    assert await scalar(bot, select(func.count()).select_from(Post).where(Post.user_id == ANNAS)) == 3


async def test_remove_asks_about_one_and_keeps_the_posts_of_several(
    bot: Running, telegram: TelegramSandbox, shelf: Shelf
) -> None:
    await follow(bot, "gorod", "selo", "later")
    shelf.fill("later", range(1, 3))
    await read(bot, shelf)
    for name in ("gorod", "selo", "later"):
        await bot.shows(BEN, f"All {name} (@{name})")
    assert "Usage" in (await bot.say(BEN, "/remove"))["text"]
    assert "You don't follow" in (await bot.say(BEN, "/remove @nobody"))["text"]
    asked = await bot.say(BEN, "/remove https://t.me/GOROD/12")
    assert "Remove All gorod (@gorod)? Its 50 posts stay" in asked["text"]
    await telegram.press(BEN, asked["message_id"], "❌ Remove with its posts")
    await bot.shows(BEN, "channels", asked["message_id"])
    several = await bot.say(BEN, "/remove selo @later gorod t.me/+x")
    assert several["text"].splitlines()[:2] == [
        "🗑 Unfollowed; their posts stay: @selo, @later",
        "🚫 You don't follow: @gorod",
    ]
    assert await scalar(bot, select(func.count()).select_from(FollowRow)) == 0
    assert await scalar(bot, select(func.count()).select_from(Post).where(Post.user_id == BENS)) == 3 + 3 + 2


async def test_news_comes_in_the_message_that_waits_for_it_or_in_a_new_one(
    bot: Running, telegram: TelegramSandbox
) -> None:
    news = {"text": "added", "channel": 7, "name": "gorod", "title": "<Город>", "posts": 21, "at_beginning": True}
    answer = await bot.say(ANNA, "/help")
    async with bot.database.write() as session:
        at = {"chat_id": ANNA, "message_id": answer["message_id"]}
        await rows.tell_of_channel(session, ANNA, news, utc_now(), **at)
        renamed = {**news, "text": "renamed", "old": "grad"}
        await rows.tell_of_channel(session, ANNA, renamed, utc_now())
    shown = await bot.shows(ANNA, "<Город> (@gorod): прочитан 21 пост.", answer["message_id"])
    assert words(telegram, shown, ANNA) == ["📡 Мои каналы"]
    await bot.shows(ANNA, "@grad теперь @gorod")
    assert len(telegram.from_bot(ANNA)) == 2
