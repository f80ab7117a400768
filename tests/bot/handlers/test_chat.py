"""Conversations with the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from bot.keyboards.access import AccessDecisionButton, ApproveAfterAllButton
from bot.keyboards.posts.posts import PostAction, PostButton
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.availability.rate_limit import FREE_SCOPE
from services.clock import utc_day
from storage.db.engine import Database
from storage.queue import limits
from storage.schema.tables import Post
from tests.bot.running import ANNA, BEN, BOSS, STRANGER, Running, running_bot
from tests.storage.rows import NOW, add_posts, get_post

CHANNEL = -1001234567890


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    # Telegram refused no call of the bot.
    refused = [error for error in telegram.errors if error.method not in {"getUpdates"}]
    assert refused == []
    assert telegram.unanswered() == []


async def test_start_opens_telegrams_dialog_to_add_the_bot_to_a_channel(bot: Running) -> None:
    started = await bot.say(ANNA, "/start")
    [[added]] = started["reply_markup"]["inline_keyboard"]
    assert added["text"] == "➕ Добавить меня в канал"
    assert added["url"] == "https://t.me/metka_sandbox_bot?startchannel&admin=post_messages+edit_messages"


async def test_commands_in_both_languages(bot: Running) -> None:
    assert "Что дальше" in (await bot.say(ANNA, "/start"))["text"]
    assert "What to do next" in (await bot.say(BEN, "/start"))["text"]
    assert "/retry force" not in (await bot.say(BEN, "/help"))["text"]
    assert "/retry force" in (await bot.say(BOSS, "/help"))["text"]
    assert "You have 3 posts" in (await bot.say(BEN, "/stats"))["text"]
    assert "administrators only" in (await bot.say(BEN, "/stats all"))["text"]
    assert "6 posts of all users" in (await bot.say(BOSS, "/stats all"))["text"]
    assert "/help" in (await bot.say(BEN, "what?"))["text"]
    assert "Which post?" in (await bot.say(BEN, f"/post {2**63}"))["text"]
    assert "Which post?" in (await bot.say(BEN, "/regen -1"))["text"]
    assert "administrators only" in (await bot.say(BEN, "/retry force"))["text"]


async def test_a_foreign_post_and_a_missing_one_get_the_same_answer(bot: Running) -> None:
    assert (await bot.say(BEN, "/post 1"))["text"] == (await bot.say(BEN, "/post 777"))["text"]
    assert (await bot.say(BEN, "/regen 1"))["text"] == (await bot.say(BEN, "/regen 777"))["text"]
    assert "#1 " in (await bot.say(BOSS, "/post 1"))["text"]


async def test_regen_shows_the_new_tags_in_its_answer(bot: Running) -> None:
    answer = await bot.say(ANNA, "/regen 1")
    assert "#1" in answer["text"]
    shown = await bot.shows(ANNA, "✅ #1", answer["message_id"])
    assert shown["edits"] >= 1
    assert (await get_post(bot.database, 1)).tags != ["старый"]


async def test_retry_shows_its_progress_until_done(bot: Running) -> None:
    answer = await bot.say(BEN, "/retry")
    assert "3 posts are queued" in answer["text"]
    done = await bot.shows(BEN, "Done", answer["message_id"])
    assert "3 of 3" in done["text"]
    assert "reply_markup" not in done
    assert "Nothing to retry" in (await bot.say(BEN, "/retry"))["text"]


async def test_the_buttons_of_failed_posts(bot: Running, telegram: TelegramSandbox) -> None:
    listed = await bot.say(BEN, "/failed")
    assert "odd <b> & error" in listed["text"]
    await telegram.press(BEN, listed["message_id"], "ℹ️ #11")
    card = await bot.shows(BEN, "Attempts: 5")
    await telegram.press(BEN, card["message_id"], "⏭ Skip")
    await bot.shows(BEN, "You skipped this post", card["message_id"])
    await telegram.press(BEN, card["message_id"], "↩️ Undo skip")
    await bot.shows(BEN, "❌ #11 · failed · ", card["message_id"])
    await telegram.press(BEN, card["message_id"], "🔁 Retry")
    await bot.shows(BEN, "✅ #11", card["message_id"])
    again = PostButton(action=PostAction.RETRY, post=11, here=True).pack()
    await telegram.press(BEN, card["message_id"], again, forge=True, inaccessible=True)


async def test_who_may_press(bot: Running, telegram: TelegramSandbox) -> None:
    mine = await bot.say(ANNA, "/failed")
    foreign = PostButton(action=PostAction.RETRY, post=11, here=False).pack()
    assert "нет" in (await telegram.press(ANNA, mine["message_id"], foreign, forge=True)).text
    force = PostButton(action=PostAction.FORCE, post=3, here=False).pack()
    assert "администратор" in (await telegram.press(ANNA, mine["message_id"], force, forge=True)).text
    for junk in ("post:retry:0:1", f"post:retry:{2**40}:1", "stop:-1", "access:5:1", "try", "x"):
        answer = await telegram.press(ANNA, mine["message_id"], junk, forge=True)
        assert answer.text


async def test_a_stranger_is_told_once_and_let_in(bot: Running, telegram: TelegramSandbox) -> None:
    assert "private" in (await bot.say(STRANGER, "hello"))["text"]
    telegram.send_text(STRANGER, "hello?")
    assert "asked the administrators" in (await bot.say(STRANGER, "/start"))["text"]
    request = await bot.shows(BOSS, "<Eve> asks")
    await telegram.press(BOSS, request["message_id"], "✅ Approve")
    await bot.shows(BOSS, "Approved by Boss", request["message_id"])
    await bot.shows(STRANGER, "You have access now")
    assert len(telegram.from_bot(STRANGER)) == 3
    assert "You have 0 posts" in (await bot.say(STRANGER, "/stats"))["text"]


async def test_who_starts_again_hears_how_the_request_stands_once(bot: Running, telegram: TelegramSandbox) -> None:
    assert "asked the administrators" in (await bot.say(STRANGER, "/start"))["text"]
    assert "asked the administrators already" in (await bot.say(STRANGER, "/start"))["text"]
    telegram.send_text(STRANGER, "/start")
    request = await bot.shows(BOSS, "<Eve> asks")
    await telegram.press(BOSS, request["message_id"], "🚫 Decline")
    await bot.shows(STRANGER, "declined")
    assert "declined" in (await bot.say(STRANGER, "/start"))["text"]
    telegram.send_text(STRANGER, "/start")
    await bot.say(BEN, "/help")
    assert len(telegram.from_bot(STRANGER)) == 4


async def test_who_was_declined_by_mistake_can_be_approved_after_all(bot: Running, telegram: TelegramSandbox) -> None:
    await bot.say(STRANGER, "/start")
    request = await bot.shows(BOSS, "<Eve> asks")
    at = request["message_id"]
    await telegram.press(BOSS, at, "🚫 Decline")
    await bot.shows(BOSS, "Declined by Boss", at)
    forged = ApproveAfterAllButton(person=STRANGER).pack()
    mine = await bot.say(BEN, "/help")
    assert "administrators only" in (await telegram.press(BEN, mine["message_id"], forged, forge=True)).text
    await telegram.press(BOSS, at, "✅ Approve after all")
    shown = await bot.shows(BOSS, "Approved by Boss", at)
    assert "Declined by Boss" in shown["text"]
    await bot.shows(STRANGER, "You have access now")
    assert "posts" in (await bot.say(STRANGER, "/stats"))["text"]
    twice = AccessDecisionButton(person=STRANGER, approve=False).pack()
    assert "decided before" in (await telegram.press(BOSS, at, twice, forge=True)).text


async def test_without_administrators_a_stranger_hears_what_makes_one(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """With their id, in their language. No request is stored: a later administrator would not be told of it."""
    owner = 1_234_567
    telegram.add_user(owner, "Ольга", "ru")
    async with running_bot(database, telegram, provider, admins=frozenset()) as bot:
        said = (await bot.say(STRANGER, "hello"))["text"]
        assert "has no administrator yet" in said
        assert f"{STRANGER}, into ADMIN_IDS" in said
        assert (await bot.say(STRANGER, "/start"))["text"] == said
        assert f"{owner}, в ADMIN_IDS" in (await bot.say(owner, "/start"))["text"]
    async with running_bot(database, telegram, provider, again=True) as bot:
        assert "I have asked the administrators;" in (await bot.say(STRANGER, "/start"))["text"]
        await bot.shows(BOSS, "<Eve> asks")


async def test_a_forwarded_post_is_answered_with_its_tags(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.add_channel(CHANNEL, "News & <more>", "news")
    telegram.send_forward(BEN, CHANNEL, 5, "The city opens a new library", 1_700_000_000)
    saved = await bot.shows(BEN, "News & <more>")
    telegram.send_forward(BEN, CHANNEL, 5, "The city opens a new library", 1_700_000_000)
    again = await telegram.wait_for(lambda: [m for m in telegram.from_bot(BEN) if "✅" in m["text"]][1:])
    assert again[0]["text"] == saved["text"]


async def test_posts_of_a_channel_are_tagged(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.add_channel(CHANNEL, "News", "news")
    telegram.add_bot_to_channel(CHANNEL, BEN)
    await bot.shows(BEN, "From now on I tag new posts in News")
    telegram.channel_post(CHANNEL, "A new bridge over the river is open")

    async def posts() -> int:
        async with bot.database.read() as session:
            return await session.scalar(select(func.count()).where(Post.user_id == 2)) or 0

    async with asyncio.timeout(10):
        while await posts() < 4:  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.01)
    assert "You have 4 posts" in (await bot.say(BEN, "/stats"))["text"]


async def test_a_strange_update_stops_nothing(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.push_update({"message": {"message_id": "no number", "chat": 7}})
    telegram.push_update({"a_kind_of_tomorrow": {"id": 1}})
    assert "Commands" in (await bot.say(BEN, "/help"))["text"]


async def test_groups_are_told_that_the_bot_works_in_private(bot: Running, telegram: TelegramSandbox) -> None:
    telegram.group_message(-77, BEN, "hello all")
    telegram.group_message(-77, BEN, "/stats")
    await telegram.wait_for(lambda: telegram.from_bot(-77))
    await bot.say(BEN, "/help")
    assert [m["text"] for m in telegram.from_bot(-77)] == ["I work in private chats only: write to me there."]


async def test_too_much_at_once_is_told_once(bot: Running, telegram: TelegramSandbox) -> None:
    for _ in range(60):
        telegram.send_text(STRANGER, "x")
    await bot.shows(STRANGER, "a lot at once")
    await bot.shows(STRANGER, "This bot is private")
    await bot.say(BEN, "/help")
    assert len(telegram.from_bot(STRANGER)) == 2


async def test_posts_do_not_overtake_the_bots_being_added(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """The posts arrive in one answer of getUpdates, followed by an edit of the last one."""
    telegram.add_user(BEN, "Ben", "en", started=True)
    telegram.add_channel(CHANNEL, "News", "news")
    telegram.add_bot_to_channel(CHANNEL, BEN)
    ids = [telegram.channel_post(CHANNEL, f"Bridge number {number} is open") for number in range(1, 9)]
    telegram.edit_channel_post(CHANNEL, ids[-1], "The last bridge is closed again")

    async def texts() -> list[str | None]:
        async with database.read() as session:
            query = select(Post.text).where(Post.telegram_message_id.in_(ids), Post.user_id == 2)
            return list((await session.execute(query.order_by(Post.telegram_message_id))).scalars())

    async with running_bot(database, telegram, provider), asyncio.timeout(30):
        while await texts() != [  # noqa: ASYNC110 - it is in the database
            *(f"Bridge number {number} is open" for number in range(1, 8)),
            "The last bridge is closed again",
        ]:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("person", "first", "waits", "button", "toast"),
    [
        (
            ANNA,
            1,
            "Следующая партия к 1 янв. 23:59 UTC: запросов на сегодня осталось 5 из 50",
            "▶️ Отправить сейчас",
            "1",
        ),
        (BEN, 2, "Next batch by 1 Jan 23:59 UTC: 5 of 50 requests left today", "▶️ Send now", "Posts that go now: 1"),
    ],
)
async def test_stats_say_when_the_next_batch_goes_and_a_button_sends_it(
    database: Database,
    telegram: TelegramSandbox,
    provider: ProviderSandbox,
    person: int,
    first: int,
    waits: str,
    button: str,
    toast: str,
) -> None:
    """Of a day's quota only what is kept for people is left: a press is a person's wish."""
    async with running_bot(database, telegram, provider, chain=("free/model:free",), clock=lambda: NOW) as bot:
        async with database.write() as session:
            await limits.ensure(session, [FREE_SCOPE])
            await limits.learn(session, FREE_SCOPE, day_limit=50, day_limit_stated=True, day=utc_day(NOW), day_used=45)
            await add_posts(session, first, 1, first=50)
        shown = await bot.say(person, "/stats")
        assert waits in shown["text"]
        everybody = await bot.say(BOSS, "/stats all")
        assert "▶️" not in str(everybody["reply_markup"])
        answer = await telegram.press(person, shown["message_id"], button)
        assert toast in answer.text

        async def is_tagged() -> bool:
            return (await get_post(database, 50)).tagging_status == "success"

        async with asyncio.timeout(20):
            while not await is_tagged():  # noqa: ASYNC110 - it is in the database
                await asyncio.sleep(0.01)
        assert waits not in (await bot.say(person, "/stats"))["text"]
