"""/tags, /merge, /rename, /ban, and a post's tags as buttons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiogram.filters.callback_data import CallbackData
from sqlalchemy import update

from bot.keyboards.tags.tags import (
    AddTagButton,
    PairAction,
    PostTagAction,
    PostTagButton,
    TagAction,
    TagButton,
    TagPairButton,
    UndoChangeButton,
    mark,
)
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.bot.running import ANNA, BEN, Running, running_bot
from tests.storage.rows import add_posts, get_post

LONG = "очень длинный тег " * 10
NASTY = "<b>bold</b> & co"


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    refused = [error for error in telegram.errors if error.method != "getUpdates"]
    assert [error for error in refused if "not modified" not in error.description] == []
    assert telegram.unanswered() == []


async def tag_posts(bot: Running, first: int, *tags: list[str]) -> None:
    """New posts of Ben's with these tags."""
    async with bot.database.write() as session:
        for number, names in enumerate(tags, first):
            await add_posts(session, 2, 1, first=number, tagging_status="success", tags=names)


async def tags_of(bot: Running, *numbers: int) -> list[list[str]]:
    return [(await get_post(bot.database, number)).tags or [] for number in numbers]


def words(bot: Running, message: dict[str, Any], person: int = BEN) -> list[str]:
    return [button["text"] for button in bot.telegram.buttons(person, message["message_id"])]


async def press(bot: Running, message: dict[str, Any], button: str, person: int = BEN, **how: Any) -> str:
    return (await bot.telegram.press(person, message["message_id"], button, **how)).text or ""


async def opens(bot: Running, message: dict[str, Any], button: str) -> dict[str, Any]:
    """Press a button that is answered with a new message."""
    before = len(bot.telegram.from_bot(BEN))
    await press(bot, message, button)
    return bot.telegram.from_bot(BEN)[before]


async def reply(bot: Running, question: dict[str, Any], text: str) -> dict[str, Any]:
    before = len(bot.telegram.from_bot(BEN))
    bot.telegram.send_text(BEN, text, reply_to_message=question)
    return await bot.telegram.wait_for(lambda: next(iter(bot.telegram.from_bot(BEN)[before:]), None))


async def test_the_list_has_pages_and_a_search(bot: Running) -> None:
    assert "no tags yet" in (await bot.say(BEN, "/tags"))["text"]
    names = [f"город {number}" for number in range(10, 22)]
    await tag_posts(bot, 20, *(names[: count + 1] for count in range(len(names))), [NASTY], [LONG])
    listed = await bot.say(BEN, "/tags")
    assert "14 tags, the most used first\n\npage 1 of 2" in listed["text"]
    assert words(bot, listed)[:2] == ["город 10 · 12", "город 11 · 11"]
    await press(bot, listed, "▶️")
    shown = words(bot, listed)
    assert f"{NASTY} · 1" in shown
    assert all(len(word) < 60 for word in shown)
    found = await bot.say(BEN, "/tags Город")
    assert "12 tags" in found["text"]
    await press(bot, found, "▶️")
    assert words(bot, found) == ["город 20 · 2", "город 21 · 1", "◀️"]
    assert (await bot.say(BEN, "/tags <i>: %"))["text"] == "No tag contains “<i> %”."
    assert (await bot.say(ANNA, "/tags нейро"))["text"] == "Нет тегов, в которых есть «нейро»."


async def test_a_tags_page_renames_merges_and_bans(bot: Running) -> None:
    await tag_posts(bot, 20, [NASTY], ["сеть", NASTY], ["сеть"])
    listed = await bot.say(BEN, "/tags")
    page = await opens(bot, listed, f"{NASTY} · 2")
    assert f"🏷 {NASTY}\n2 posts have it" in page["text"]
    assert "#21 · " in page["text"]
    assert "#20 · " in page["text"]
    renamed = await reply(bot, await opens(bot, page, "✏️ Rename"), "#Толстый текст")
    assert renamed["text"] == f"✏️ {NASTY} is now Толстый текст.\n2 posts changed"
    assert await tags_of(bot, 20, 21) == [["Толстый текст"], ["сеть", "Толстый текст"]]
    question = await opens(bot, page, "🔀 Merge into …")
    assert "2 posts have it" in question["text"]
    merged = await reply(bot, question, "сети")
    assert (
        merged["text"] == "🔀 Толстый текст is merged into сеть, for later posts too.\n2 posts changed\n3 posts have it"
    )
    assert await tags_of(bot, 20, 21) == [["сеть"], ["сеть"]]
    assert "undo that first" in await press(bot, renamed, "↩️ Undo")
    await press(bot, merged, "↩️ Undo")
    await press(bot, renamed, "↩️ Undo")
    assert await tags_of(bot, 20, 21, 22) == [[NASTY], ["сеть", NASTY], ["сеть"]]
    await press(bot, page, "🚫 Ban")
    await press(bot, page, "🚫 Ban it and take it off its posts")
    assert await tags_of(bot, 20, 21) == [[], ["сеть"]]
    banned = await opens(bot, await bot.say(BEN, "/tags bold"), f"🚫 {NASTY} · 0")
    assert "Banned" in banned["text"]
    await press(bot, banned, "↩️ Undo last change")
    assert await tags_of(bot, 20, 21) == [[NASTY], ["сеть", NASTY]]


@pytest.mark.parametrize("arrow", ["->", " → ", "=>"])
async def test_a_merge_by_command_holds_for_posts_that_come_later(bot: Running, arrow: str) -> None:
    """And its Undo restores the posts that were there, also after more have come."""
    await tag_posts(bot, 20, ["ии"], ["нейросеть"])
    merged = await bot.say(BEN, f"/merge ИИ{arrow}нейросети")
    assert merged["text"].startswith("🔀 ии is merged into нейросеть")
    await tag_posts(bot, 30, ["нейросеть"])
    await press(bot, merged, "↩️ Undo")
    assert await tags_of(bot, 20, 21, 30) == [["ии"], ["нейросеть"], ["нейросеть"]]
    assert "There is nothing to undo." in await press(bot, merged, UndoChangeButton(change=1).pack(), forge=True)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/merge", "Usage: /merge one tag -> another"),
        ("/merge a -> b -> c", "Usage: /merge one tag -> another"),
        ("/rename a", "Usage: /rename a tag -> its new name"),
        ("/ban", "Usage: /ban tag"),
        ("/ban nothing", "There is no such tag among yours. /tags lists them."),
        ("/merge nothing -> more", "There is no such tag among yours. /tags lists them."),
        ("/merge сеть -> сети", "These are the same tag already."),
        ("/merge сеть -> " + "x" * 200, "A tag has 64 characters at most."),
        ("/rename сеть -> !?", "A tag needs a letter or a digit."),
        ("/rename сеть -> город", "You have a tag of this name: merge the two instead."),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_sentence(bot: Running, said: str, answer: str) -> None:
    await tag_posts(bot, 20, ["сеть"], ["город"])
    assert (await bot.say(BEN, said))["text"] == answer
    assert await tags_of(bot, 20, 21) == [["сеть"], ["город"]]


async def test_other_peoples_tags_and_posts_are_out_of_reach(bot: Running) -> None:
    """Whatever the callback data says."""
    await tag_posts(bot, 20, ["сеть"])
    await bot.say(BEN, "/tags")
    merged = await bot.say(BEN, "/merge сеть -> город")
    mine = await bot.say(ANNA, "/tags")
    forged: list[CallbackData] = [TagButton(action=action, tag=tag) for action in TagAction for tag in (1, 2**63 - 1)]
    forged += [UndoChangeButton(change=1), AddTagButton(post=20)]
    forged += [PostTagButton(action=action, post=20, mark=mark("город"), card=True) for action in PostTagAction]
    for button in forged:
        told = await press(bot, mine, button.pack(), ANNA, forge=True)
        assert told in {
            "Такого тега у вас нет. Все теги: /tags",
            "Отменять нечего.",
            "У вас нет такого поста.",
        }, button
    assert await tags_of(bot, 20) == [["город"]]
    await press(bot, merged, "↩️ Undo")
    assert await tags_of(bot, 20) == [["сеть"]]


async def test_a_posts_tags_are_taken_off_put_back_and_added_by_hand(bot: Running) -> None:
    """What a person did holds over /regen."""
    await tag_posts(bot, 20, ["сеть", NASTY, LONG])
    card = await bot.say(BEN, "/post 20")
    assert words(bot, card)[:2] == ["✖️ сеть", f"✖️ {NASTY}"]
    assert await press(bot, card, f"✖️ {NASTY}") == f"Taken off: {NASTY}. It does not come back by itself."
    assert await tags_of(bot, 20) == [["сеть", LONG]]
    twice = PostTagButton(action=PostTagAction.TAKE_OFF, post=20, mark=mark(NASTY), card=True).pack()
    assert await press(bot, card, twice, forge=True) == "Nothing to change."
    assert await press(bot, card, f"↩️ {NASTY}") == f"Put back: {NASTY}"
    assert await press(bot, card, "✖️ сеть") == "Taken off: сеть. It does not come back by itself."
    assert await tags_of(bot, 20) == [[LONG, NASTY]]
    question = await opens(bot, card, "➕ Tag")
    assert question["text"].startswith("➕ #20\n")
    assert (await reply(bot, question, " , "))["text"] == "A tag needs a letter or a digit."
    assert "A post has 30 tags at most." in (await reply(bot, question, ",".join(map(str, range(40)))))["text"]
    added = await reply(bot, question, "Мост, <i>река</i>")
    assert "Мост · <i>река</i>" in added["text"]
    assert "✖️ Мост" in words(bot, added)
    answer = await bot.say(BEN, "/regen 20")
    done = await bot.shows(BEN, "✅ #20", answer["message_id"])
    now = (await tags_of(bot, 20))[0]
    assert "сеть" not in now
    assert {"Мост", "<i>река</i>"} <= set(now)
    assert {"✖️ Мост", "✖️ <i>река</i>", "➕ Tag"} <= set(words(bot, done))


async def test_a_failed_post_is_tagged_by_hand(bot: Running) -> None:
    card = await bot.say(BEN, "/post 11")
    assert (await reply(bot, await opens(bot, card, "➕ Tag"), "мост"))["text"].startswith("✅ #11")
    post = await get_post(bot.database, 11)
    assert (post.tags, post.tagging_status) == (["мост"], "success")


async def test_an_answer_to_a_question_of_a_post_that_is_gone(bot: Running) -> None:
    question = await opens(bot, await bot.say(BEN, "/post 11"), "➕ Tag")
    async with bot.database.write() as session:
        await session.execute(update(Post).where(Post.id == 11).values(user_id=1))
    assert (await reply(bot, question, "мост"))["text"] == "You have no such post."


async def test_similar_tags_are_merged_or_kept_apart_by_the_person(bot: Running, provider: ProviderSandbox) -> None:
    """One request finds the pairs; Different holds for ever, and Merge can be undone."""
    await tag_posts(bot, 20, ["ии", "город"], ["искусственный интеллект"], ["ии"], ["город"], ["деревня"])
    provider.similar = [("ии", "искусственный интеллект"), ("город", "деревня")]
    before = len(provider.requests)
    listed = await bot.say(BEN, "/tags")
    shown = await opens(bot, listed, "🧩 Similar tags")
    assert "🏷 деревня · 1 post has it" in shown["text"]
    assert "pairs left: 2" in shown["text"]
    assert await tags_of(bot, 23, 24) == [["город"], ["деревня"]]
    assert "won't ask" in await press(bot, shown, "Different")
    assert "Merged, their posts get ии." in (await bot.shows(BEN, "искусственный", shown["message_id"]))["text"]
    await press(bot, shown, "🔀 Merge")
    assert await tags_of(bot, 20, 21, 22) == [["ии", "город"], ["ии"], ["ии"]]
    none = await opens(bot, shown, "🧩 Next pair")
    assert "No similar tags" in none["text"]
    assert len(provider.requests) == before + 1
    await press(bot, shown, "↩️ Undo")
    assert await tags_of(bot, 21) == [["искусственный интеллект"]]
    assert "No similar tags" in (await opens(bot, listed, "🧩 Similar tags"))["text"]
    forged = [TagPairButton(action=action, tag=1, other=2) for action in PairAction]
    mine = await bot.say(ANNA, "/tags")
    for button in forged:
        assert await press(bot, mine, button.pack(), ANNA, forge=True) == "Эта пара уже решена."
