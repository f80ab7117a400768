"""/find, /latest, related posts, texts that are no command, and posts offered in other chats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.keyboards.posts.find import FindPageButton, RelatedButton, TagDraftButton
from bot.views.posts.posts import post_in
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.library.search_index import SearchIndex
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.bot.running import ANNA, BEN, BOSS, STRANGER, Running, running_bot
from tests.storage.rows import add_posts

CHANNEL = -1001234567890


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        async with database.write() as session:
            await add_posts(
                session, 2, 12, first=30, text="Solar <panels> & wind", tags=["energy"], tagging_status="success"
            )
            await add_posts(
                session, 2, 1, first=50, text="A solar eclipse", tags=["Energy", "sun"], url="https://e.org/1"
            )
        await catch_up(database)
        yield made
    assert [error for error in telegram.errors if error.method != "getUpdates"] == []
    assert telegram.unanswered() == []


async def catch_up(database: Database) -> None:
    index = SearchIndex(database, enabled=True)
    for _ in range(3):
        await index.work()


def buttons(message: dict[str, Any]) -> list[str]:
    return [button["text"] for row in message.get("reply_markup", {}).get("inline_keyboard", []) for button in row]


async def test_pages_of_what_is_found(bot: Running, telegram: TelegramSandbox) -> None:
    """The query stands in the message, so that the next page needs nothing else."""
    first = await bot.say(BEN, "/find  Solar\n#ENERGY")
    assert first["html"].startswith("🔎 <b>Solar #ENERGY</b>\n\n#50 · <b>Channel 2</b>: ")
    assert '<a href="https://e.org/1">A solar eclipse</a>\n<code>Energy</code> · <code>sun</code>' in first["html"]
    assert buttons(first) == ["#50", *(f"#{n}" for n in range(41, 32, -1)), "▶️"]
    await telegram.press(BEN, first["message_id"], "▶️")
    second = await bot.shows(BEN, "#30 · Channel 2: Solar <panels> & wind", first["message_id"])
    assert buttons(second) == ["#32", "#31", "#30", "◀️"]
    await telegram.press(BEN, first["message_id"], "#31")
    assert (await bot.shows(BEN, "✅ #31 · tagged"))["message_id"] != first["message_id"]
    await telegram.press(BEN, first["message_id"], FindPageButton(page=99).pack(), forge=True)
    await bot.shows(BEN, "That was all.", first["message_id"])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/find", "Find your posts by words"),
        ("/find 🔥", "Find your posts by words"),
        ("/find elephants", "Nothing found among your posts."),
        ("/find панели since:yesterday", "I need a year, a month or a day"),
        ("/find новость since:2030", "Nothing found"),
        ("/find <b>&", "🔎 <b>&"),
    ],
)
async def test_what_finds_nothing_says_how_to_go_on(bot: Running, command: str, words: str) -> None:
    assert words in (await bot.say(BEN, command))["text"]


async def test_others_posts_are_never_shown(bot: Running, telegram: TelegramSandbox) -> None:
    """Not by words, not by a forged button, and not to an administrator who searches their own."""
    assert "#1 " not in (await bot.say(BEN, "/find новость"))["text"]
    assert "ничего не нашлось" in (await bot.say(ANNA, "/find solar"))["text"]
    assert "Nothing found" in (await bot.say(BOSS, "/find solar"))["text"]
    mine = await bot.say(ANNA, "/find новости")
    answer = await telegram.press(ANNA, mine["message_id"], RelatedButton(post=50).pack(), forge=True)
    assert answer.text == "У вас нет такого поста."
    old = FindPageButton(page=2).pack()
    answer = await telegram.press(ANNA, mine["message_id"], old, forge=True, inaccessible=True)
    assert "Список устарел" in answer.text


async def test_the_newest_posts(bot: Running, telegram: TelegramSandbox) -> None:
    shown = await bot.say(BEN, "/latest")
    assert shown["text"].startswith("🗂 Your newest posts\n\n#50 · Channel 2")
    await telegram.press(BEN, shown["message_id"], "▶️")
    await bot.shows(BEN, "#11 · Channel 2: Пост номер 11", shown["message_id"])
    assert "/add @name" in (await bot.say(BOSS, "/latest"))["text"]


async def test_related_posts_of_a_card(bot: Running, telegram: TelegramSandbox) -> None:
    card = await bot.say(BEN, "/post 50")
    await telegram.press(BEN, card["message_id"], "🔗 Related posts")
    shown = await bot.shows(BEN, "Related to #50")
    assert buttons(shown) == ["#41", "#40", "#39", "#38", "#37"]
    assert "🔗 Related posts" not in buttons(await bot.say(BEN, "/post 11"))


async def test_a_text_is_searched_and_can_be_tagged_as_a_draft(bot: Running, telegram: TelegramSandbox) -> None:
    """The draft becomes a post of the person's own; pressed again, it is not stored again."""
    found = await bot.say(BEN, "solar")
    assert "#50 · Channel 2" in found["text"]
    await telegram.press(BEN, found["message_id"], "▶️")
    await bot.shows(BEN, "#30 ", found["message_id"])
    nothing = await bot.say(BEN, "The city opens a new library")
    assert "Nothing found" in nothing["text"]
    await telegram.press(BEN, nothing["message_id"], "🏷 Tag this draft")
    tagged = await bot.shows(BEN, "· Drafts\n")
    await telegram.press(BEN, nothing["message_id"], "🏷 Tag this draft")
    again = await telegram.wait_for(lambda: [m for m in telegram.from_bot(BEN) if "· Drafts\n" in m["text"]][1:])
    assert again[0]["text"] == tagged["text"]
    answer = await telegram.press(BEN, tagged["message_id"], TagDraftButton().pack(), forge=True)
    assert "send it again" in answer.text
    long = await bot.say(BEN, "First line\nSecond line")
    assert "Shall I tag this text?" in long["text"]
    assert buttons(long) == ["🏷 Tag this draft"]


async def test_two_peoples_drafts_are_apart(bot: Running, telegram: TelegramSandbox) -> None:
    for person, words, title in ((BEN, "An English draft", "Drafts"), (ANNA, "Русский черновик", "Черновики")):
        said = await bot.say(person, words)
        await telegram.press(person, said["message_id"], 0)
        await bot.shows(person, f"· {title}\n")
    async with bot.database.read() as session:
        rows = await session.execute(select(Post.user_id, Post.channel_id, Post.text).where(Post.id > 50))
        kept = {(row.user_id, row.text): row.channel_id for row in rows}
    assert set(kept) == {(2, "An English draft"), (1, "Русский черновик")}
    assert len(set(kept.values())) == 2


async def test_a_person_forwarded_is_explained(bot: Running, telegram: TelegramSandbox) -> None:
    origin = {"type": "hidden_user", "date": 1_700_000_000, "sender_user_name": "Somebody"}
    telegram.send_text(BEN, "The river is frozen", forward_origin=origin)
    said = await bot.shows(BEN, "forwarded from a person or a group")
    await telegram.press(BEN, said["message_id"], "🏷 Tag this draft")
    await bot.shows(BEN, "· Drafts\n")


async def test_an_unknown_command_says_so(bot: Running) -> None:
    assert (await bot.say(BEN, "/<fnid> x"))["text"] == "I don't know the command /<fnid>. All commands: /help"


async def test_a_post_is_named_by_number_link_or_reply(bot: Running, telegram: TelegramSandbox) -> None:
    async with bot.database.write() as session:
        await session.execute(update(Post).where(Post.id == 12).values(telegram_message_id=77))
    assert "❌ #12 " in (await bot.say(BEN, "/post https://t.me/channel2/77"))["text"]
    assert "❌ #12 " in (await bot.say(BEN, "t.me/Channel2/77"))["text"]
    assert "no such post" in (await bot.say(BEN, "/post t.me/channel1/1"))["text"]
    assert "no such post" in (await bot.say(BEN, "/regen t.me/c/123/1"))["text"]
    card = await bot.say(BEN, "/post #12")
    telegram.send_text(BEN, "/regen", reply_to_message=card)
    await bot.shows(BEN, "✅ #12")
    telegram.add_channel(CHANNEL, "News")
    telegram.send_forward(BEN, CHANNEL, 5, "The city opens a new library", 1_700_000_000)
    saved = post_in((await bot.shows(BEN, "· News\n"))["text"])
    forward = next(m for m in telegram.messages(BEN) if "forward_origin" in m)
    telegram.send_text(BEN, "/post", reply_to_message=forward)
    await bot.shows(BEN, f"✅ #{saved} · tagged · News")
    telegram.send_text(BEN, "/post", reply_to_message=await bot.say(BEN, "/latest"))
    await bot.shows(BEN, "Which post?")


async def test_posts_are_offered_in_other_chats(bot: Running, telegram: TelegramSandbox) -> None:
    """The sender's own, page by page, each as a whole message; without words the newest."""
    offered = await telegram.ask_inline(BEN, "solar -eclipse")
    assert (offered.is_personal, offered.next_offset, offered.button) == (True, "", None)
    assert offered.cache_time <= 10
    assert [result["id"] for result in offered.results] == [str(n) for n in range(41, 29, -1)]
    assert offered.results[0]["title"] == "Solar <panels> & wind"
    assert offered.results[0]["text"] == "Channel 2\n\nSolar <panels> & wind\n\nenergy"
    async with bot.database.write() as session:
        await add_posts(session, 2, 20, first=60)
    telegram.send_text(BEN, offered.results[0]["text"], via_bot=telegram.world.bot_user())
    assert "/find" in (await bot.say(BEN, "/help"))["text"]
    assert len(telegram.from_bot(BEN)) == 1
    newest = await telegram.ask_inline(BEN, "")
    assert (newest.results[0]["id"], len(newest.results), newest.next_offset) == ("79", 20, "2")
    rest = await telegram.ask_inline(BEN, "", newest.next_offset)
    assert (rest.results[0]["id"], rest.next_offset) == ("50", "")


@pytest.mark.parametrize(
    ("person", "text", "words"),
    [
        (BEN, "elephants", "Nothing found · open the bot"),
        (BEN, "since:", "Nothing found · open the bot"),
        (ANNA, "solar", "Ничего не нашлось · открыть бота"),
        (STRANGER, "solar", "This bot is private · ask for access"),
    ],
)
async def test_who_finds_nothing_is_offered_the_private_chat(
    bot: Running, telegram: TelegramSandbox, person: int, text: str, words: str
) -> None:
    """A stranger gets no post, and leaves no trace."""
    offered = await telegram.ask_inline(person, text, offset="x")
    assert (offered.results, offered.button) == ([], {"text": words, "start_parameter": "inline"})
    if person == STRANGER:
        assert "private" in (await bot.say(STRANGER, "hello"))["text"]


async def test_switched_off_search_says_so(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    async with running_bot(database, telegram, provider, search_enabled=False) as bot:
        assert "switched off" in (await bot.say(BEN, "/find news"))["text"]
        assert "Shall I tag this text?" in (await bot.say(BEN, "news"))["text"]
        assert "#13" in (await bot.say(BEN, "/latest"))["text"]
        assert "🔗 Related posts" not in buttons(await bot.say(BOSS, "/post 1"))
        assert (await telegram.ask_inline(BEN, "news")).results == []
