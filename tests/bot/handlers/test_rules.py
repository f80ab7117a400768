"""/rules in the chat: a draft changed by buttons and answers, tried, saved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from bot.keyboards.tags.rules import RulesAction, RulesButton
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.tags.post_tags import PostTags
from services.tags.rules import RuleSettings
from services.tags.user_rules import UserRules
from storage.db.engine import Database
from storage.schema.tables import Post
from storage.schema.tag_tables import TagRow
from tests.bot.running import ANNA, BEN, Running, running_bot


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    assert telegram.unanswered() == []


async def settings(bot: Running, user_id: int, channel_id: int | None = None) -> RuleSettings:
    return (await UserRules(bot.database, utc_now).get(user_id, channel_id)).settings


async def press(bot: Running, person: int, message: dict[str, Any], *words: str) -> str:
    """Press buttons by the beginnings of their texts; returns the last answer's text."""
    said = ""
    for each in words:
        shown = next(m for m in bot.telegram.from_bot(person) if m["message_id"] == message["message_id"])
        buttons = [button["text"] for row in shown["reply_markup"]["inline_keyboard"] for button in row]
        full = next(text for text in buttons if text.startswith(each))
        said = (await bot.telegram.press(person, message["message_id"], full)).text or ""
    return said


async def reply(bot: Running, person: int, question: dict[str, Any], text: str) -> dict[str, Any]:
    before = len(bot.telegram.from_bot(person))
    bot.telegram.send_text(person, text, reply_to_message={**question, "from": {"id": 42, "is_bot": True}} | question)
    return await bot.telegram.wait_for(lambda: next(iter(bot.telegram.from_bot(person)[before:]), None))


async def test_each_row_changes_the_draft_and_save_stores_it(bot: Running) -> None:
    shown = await bot.say(BEN, "/rules")
    assert "all your channels" in shown["text"]
    await press(bot, BEN, shown, "🏷 New tags and mine", "🌐 The post's", "➖", "#️⃣ #neural", "✅ Tagging")
    await bot.shows(BEN, "Not saved yet", shown["message_id"])
    assert await settings(bot, 2) == RuleSettings()
    assert await press(bot, BEN, shown, "💾") == "Saved."
    assert await settings(bot, 2) == RuleSettings("prefer", "ru", 6, None, "camel", False)
    assert await settings(bot, 1) == RuleSettings()


async def test_an_instruction_and_a_language_come_by_answer(bot: Running) -> None:
    """The draft so far is kept, what the person wrote is shown as it is, bad answers get a sentence."""
    shown = await bot.say(BEN, "/rules")
    await press(bot, BEN, shown, "➕", "✍️")
    question = await bot.shows(BEN, "Which tags do you want?")
    assert "500 characters at most" in (await reply(bot, BEN, question, "x" * 501))["text"]
    draft = await reply(bot, BEN, question, "topics <b>only</b> & no\nnames")
    assert "Your instruction: topics <b>only</b> & no names" in draft["text"]
    await press(bot, BEN, draft, "🌐 Other")
    question = await bot.shows(BEN, "In which language")
    assert "no such language" in (await reply(bot, BEN, question, "zz"))["text"]
    draft = await reply(bot, BEN, question, " DE ")
    await press(bot, BEN, draft, "💾")
    kept = RuleSettings(language="de", most_tags=8, instruction="topics <b>only</b> & no names")
    assert await settings(bot, 2) == kept
    await press(bot, BEN, draft, "🗑", "💾")
    assert (await settings(bot, 2)).instruction is None


async def test_a_message_too_old_to_be_read_loses_no_instruction(bot: Running) -> None:
    """Telegram tells nothing of a message after 48 hours: its buttons then show what is saved."""
    kept = RuleSettings(instruction="topics only")
    await UserRules(bot.database, utc_now).put(2, kept)
    shown = await bot.say(BEN, "/rules")
    await bot.telegram.press(BEN, shown["message_id"], "💾 Save", inaccessible=True)
    assert await settings(bot, 2) == kept
    assert len([m for m in bot.telegram.from_bot(BEN) if "topics only" in m["text"]]) == 2


async def test_a_channel_has_rules_of_its_own(bot: Running) -> None:
    shown = await bot.say(ANNA, "/rules")
    await press(bot, ANNA, shown, "📢", "Channel 1", "⏯", "💾")
    assert await settings(bot, 1, 1) == RuleSettings(is_on=True)
    assert await settings(bot, 1) == RuleSettings()
    await press(bot, ANNA, shown, "⬅️", "📢", "✏️ Channel 1", "↩️")
    assert await settings(bot, 1, 1) == RuleSettings()


@pytest.mark.parametrize("action", RulesAction)
async def test_a_channel_of_others_is_refused(bot: Running, action: RulesAction) -> None:
    shown = await bot.say(BEN, "/rules")
    data = RulesButton(action=action, channel=1, mode="prefer").pack()
    said = await bot.telegram.press(BEN, shown["message_id"], data, forge=True)
    if action in {RulesAction.ASK_LANGUAGE, RulesAction.ASK_INSTRUCTION}:
        question = await bot.shows(BEN, "✍️")
        assert "not your channel" in (await reply(bot, BEN, question, "de"))["text"]
    else:
        assert said.text == "This is not your channel."
    assert await settings(bot, 1, 1) == RuleSettings()


async def test_rules_are_tried_on_the_last_posts_by_one_request(bot: Running, provider: ProviderSandbox) -> None:
    """Old and new tags are shown; posts and vocabulary stay as they are."""
    await PostTags(bot.database, utc_now).set(2, 11, ["<b>old</b>", "y" * 64])
    provider.answer("11", "<b>new</b>")
    before = await _stored(bot)
    shown = await bot.say(BEN, "/rules")
    await press(bot, BEN, shown, "🏷 New tags", "🧪")
    tried = await bot.shows(BEN, "The last posts under these rules")
    assert "was: <b>old</b> · yyyy" in tried["text"]
    assert "One request was used." in tried["text"]
    assert len(provider.requests) == 1
    assert await _stored(bot) == before
    assert await settings(bot, 2) == RuleSettings()


async def _stored(bot: Running) -> Any:
    async with bot.database.read() as session:
        posts = (await session.execute(select(Post.id, Post.tags, Post.tagging_status).order_by(Post.id))).all()
        tags = (await session.execute(select(TagRow.name).order_by(TagRow.id))).all()
    return posts, tags


async def test_only_my_tags_needs_some(bot: Running) -> None:
    shown = await bot.say(BEN, "/rules")
    assert "no tags yet" in await press(bot, BEN, shown, "🏷", "🏷", "🧪")
    assert "no tags yet" in await press(bot, BEN, shown, "💾")
