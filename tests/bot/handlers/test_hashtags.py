"""/hashtags in chat, and the messages of the channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from bot.delivery import hashtag_writer as product
from bot.keyboards.channels.hashtags import HashtagSwitchButton, RemoveHashtagsButton
from bot.keyboards.tags.tags import ChangedHashtagsButton
from bot.telegram.dispatcher import make_bot
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.hashtags.service import ChannelHashtags
from storage.db.engine import Database
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import Attempt, ChannelOwner, Post
from tests.bot.running import ANNA, BEN, BOSS, Running, running_bot, until

CHANNEL, OTHER = -1001234567890, -1001234567891
TEXT = "The city opens a new library on the river bank"
BOLD = {"type": "bold", "offset": 4, "length": 4}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "CHAT_SECONDS", 0.0)
    monkeypatch.setattr(product, "CATCH_UP_EVERY", 0.01)


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        telegram.add_channel(CHANNEL, "News & <more>", "news")
        telegram.add_bot_to_channel(CHANNEL, BEN)
        await made.shows(BEN, "From now on I tag new posts")
        yield made
    assert telegram.unanswered() == []


async def switch_on(bot: Running) -> dict[str, Any]:
    listed = await bot.say(BEN, "/hashtags")
    await bot.telegram.press(BEN, listed["message_id"], "⬜ News & <more>")
    await bot.shows(BEN, "Hashtags in News & <more>?", listed["message_id"])
    assert (await bot.telegram.press(BEN, listed["message_id"], "✅ Switch on")).text == "Hashtags are on."
    return await bot.shows(BEN, "press a channel", listed["message_id"])


def message(bot: Running, number: int) -> dict[str, Any]:
    return next(m for m in bot.telegram.messages(CHANNEL) if m["message_id"] == number)


async def with_hashtags(bot: Running, number: int, *, edits: int = 1) -> dict[str, Any]:
    """Wait until the message was edited `edits` times and ends with hashtags."""

    def found() -> dict[str, Any] | None:
        shown = message(bot, number)
        return shown if shown["edits"] >= edits and "\n\n#" in shown["text"] else None

    return await bot.telegram.wait_for(found, 20)


async def row_of(bot: Running, number: int) -> HashtagRow | None:
    async with bot.database.read() as session:
        query = select(HashtagRow).where(HashtagRow.message_id == number, HashtagRow.chat_id == CHANNEL)
        return (await session.execute(query)).scalar_one_or_none()


async def in_state(bot: Running, number: int, state: str) -> HashtagRow:
    async with asyncio.timeout(20):
        while (row := await row_of(bot, number)) is None or row.state != state:  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.01)
    return row


async def post_of(bot: Running, number: int) -> Post:
    async with bot.database.read() as session:
        query = select(Post).join(HashtagRow, HashtagRow.post_id == Post.id).where(HashtagRow.message_id == number)
        return (await session.execute(query)).scalar_one()


async def requests_for(bot: Running, number: int) -> int:
    post = await post_of(bot, number)
    async with bot.database.read() as session:
        return len((await session.execute(select(Attempt.id).where(Attempt.post_id == post.id))).all())


@pytest.mark.parametrize("tells_own_edits", [False, True])
async def test_a_post_gets_its_tags_as_hashtags_and_is_tagged_once(
    bot: Running, telegram: TelegramSandbox, tells_own_edits: bool
) -> None:
    telegram.world.tells_own_edits = tells_own_edits
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT, entities=[BOLD], link_preview_options={"is_disabled": True})
    shown = await with_hashtags(bot, number)
    row = await in_state(bot, number, "written")
    post = await post_of(bot, number)
    assert shown["text"] == f"{TEXT}\n\n{row.line}"
    assert len([mark for mark in shown["entities"] if mark["type"] == "hashtag"]) == len(post.tags or [])
    assert BOLD in shown["entities"]
    assert shown["link_preview_options"] == {"is_disabled": True}
    # A later post has its hashtags, so all updates about the first one are handled.
    await with_hashtags(bot, telegram.channel_post(CHANNEL, "Another bridge is closed until spring"))
    post = await post_of(bot, number)
    assert (post.text, post.tagging_status, await requests_for(bot, number)) == (TEXT, "success", 1)
    assert message(bot, number)["edits"] == 1


async def test_a_photos_caption_keeps_its_place(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    first = telegram.channel_post(CHANNEL, "", media_group_id="7")
    number = telegram.channel_post(CHANNEL, TEXT, media_group_id="7", show_caption_above_media=True)
    shown = await with_hashtags(bot, number)
    assert shown["caption"].startswith(f"{TEXT}\n\n#")
    assert shown["show_caption_above_media"]
    assert message(bot, first)["edits"] == 0


@pytest.mark.parametrize(
    "extra",
    [
        {"via_bot": {"id": 5, "is_bot": True, "first_name": "Gif"}},
        {"entities": [{"type": "custom_emoji", "offset": 0, "length": 3, "custom_emoji_id": "1"}]},
        {"reply_markup": {"inline_keyboard": [[{"text": "Like", "callback_data": "1"}]]}},
        {
            "forward_origin": {
                "type": "channel",
                "date": 1,
                "message_id": 3,
                "chat": {"id": -1009, "type": "channel", "title": "Elsewhere"},
            }
        },
        {"rich_message": {"blocks": [{"type": "paragraph", "text": TEXT}]}},
        {"rich_message": {"blocks": [{"type": "hologram", "text": TEXT}]}},
        {"checklist": {"title": TEXT, "tasks": [{"id": 1, "text": "Books"}]}},
        {"entities": [{"type": "bold", "offset": 4, "length": 4, "url": 5}]},
    ],
    ids=[
        *("via_bot", "custom_emoji", "buttons", "forwarded", "rich message", "unknown block", "checklist"),
        "unreadable entity",
    ],
)
async def test_what_an_edit_would_harm_is_left_alone(
    bot: Running, telegram: TelegramSandbox, extra: dict[str, Any]
) -> None:
    await switch_on(bot)
    text = "" if extra.keys() & {"rich_message", "checklist"} else TEXT
    number = telegram.channel_post(CHANNEL, text, **extra)
    later = telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June")
    await with_hashtags(bot, later)
    assert message(bot, number)["edits"] == 0
    async with bot.database.read() as session:
        assert len((await session.execute(select(HashtagRow.post_id))).all()) == 1


async def test_a_post_that_became_a_rich_message_is_left_alone(bot: Running, telegram: TelegramSandbox) -> None:
    """Its hashtags are gone with its text; neither new tags nor an undo write over what stands there now."""
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, number)
    await in_state(bot, number, "written")
    changed = "Volcano erupts in Iceland, flights cancelled everywhere"
    rich = {"blocks": [{"type": "paragraph", "text": changed}]}
    telegram.edit_channel_post(CHANNEL, number, "", rich_message=rich)
    row = await in_state(bot, number, "undone")
    answer = await bot.say(BEN, f"/regen {row.post_id}")
    await bot.shows(BEN, f"✅ #{row.post_id}", answer["message_id"])
    await with_hashtags(bot, telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June"))
    assert message(bot, number)["rich_message"] == rich
    assert (await post_of(bot, number)).text == changed


async def test_a_persons_edit_keeps_the_hashtags_up_to_date(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    line = (await with_hashtags(bot, number))["text"].removeprefix(f"{TEXT}\n\n")
    await in_state(bot, number, "written")
    changed = "Volcano erupts in Iceland, flights cancelled everywhere"
    telegram.edit_channel_post(CHANNEL, number, f"{changed}\n\n{line}")
    shown = await with_hashtags(bot, number, edits=3)
    row = await in_state(bot, number, "written")
    assert shown["text"] == f"{changed}\n\n{row.line}"
    assert row.line != line
    assert ((await post_of(bot, number)).text, row.text) == (changed, changed)


async def test_who_removes_the_hashtags_by_hand_is_rid_of_them(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, number)
    await in_state(bot, number, "written")
    telegram.edit_channel_post(CHANNEL, number, TEXT)
    row = await in_state(bot, number, "undone")
    answer = await bot.say(BEN, f"/regen {row.post_id}")
    await bot.shows(BEN, f"✅ #{row.post_id}", answer["message_id"])
    await with_hashtags(bot, telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June"))
    assert message(bot, number)["text"] == TEXT


async def test_an_edit_that_ours_wrote_over_is_put_back(bot: Running, telegram: TelegramSandbox) -> None:
    """A person's edit precedes ours in the channel, but its update arrives later."""
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, number)
    row = await in_state(bot, number, "written")
    assert row.edited_at is not None
    changed = "Volcano erupts in Iceland, flights cancelled everywhere"
    edit = {**telegram.world.message(CHANNEL, number).data, "text": changed, "entities": []}  # type: ignore[union-attr]
    telegram.push_update({"edited_channel_post": {**edit, "edit_date": int(row.edited_at.timestamp())}})
    await telegram.wait_for(lambda: message(bot, number)["text"].startswith(f"{changed}\n\n#"), 20)


async def test_new_tags_take_the_place_of_the_old_hashtags(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, number)
    row = await in_state(bot, number, "written")
    async with bot.database.write() as session:
        post = await session.get_one(Post, row.post_id)
        post.tags = ["other tags", "2024", "Tram"]
        (await session.get_one(HashtagRow, row.post_id)).state = "waiting"
    await telegram.wait_for(lambda: message(bot, number)["text"] == f"{TEXT}\n\n#other_tags #Tram", 20)


async def test_hashtags_follow_a_change_of_tags_when_the_person_asks(bot: Running, telegram: TelegramSandbox) -> None:
    """Of a merge, of its Undo, and of a tag that was taken off by hand; nothing before the button is pressed."""
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    before = (await with_hashtags(bot, number))["text"]
    row = await in_state(bot, number, "written")
    name = ((await post_of(bot, number)).tags or [""])[0]
    merged = await bot.say(BEN, f"/merge {name} -> мост")
    foreign = ChangedHashtagsButton(change=1).pack()
    assert "нет" in (await telegram.press(ANNA, merged["message_id"], foreign, chat_id=ANNA, forge=True)).text
    assert message(bot, number)["text"] == before
    assert "change: 1," in (await telegram.press(BEN, merged["message_id"], "#️⃣ Change the hashtags too (1)")).text
    assert "#мост" in (await with_hashtags(bot, number, edits=2))["text"]
    await in_state(bot, number, "written")
    await telegram.press(BEN, merged["message_id"], "↩️ Undo")
    await telegram.press(BEN, merged["message_id"], "#️⃣ Change the hashtags too (1)")
    assert (await with_hashtags(bot, number, edits=3))["text"] == before
    await in_state(bot, number, "written")
    card = await bot.say(BEN, f"/post {row.post_id}")
    await telegram.press(BEN, card["message_id"], f"✖️ {name}")
    await telegram.press(BEN, card["message_id"], "#️⃣ Change the hashtags too")
    assert f"#{name}" not in (await with_hashtags(bot, number, edits=4))["text"]


async def test_undo_puts_the_post_back_for_good(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT, entities=[BOLD])
    await with_hashtags(bot, number)
    row = await in_state(bot, number, "written")
    card = await bot.say(BEN, f"/post {row.post_id}")
    assert "being removed" in (await telegram.press(BEN, card["message_id"], "↩️ Remove hashtags")).text
    await in_state(bot, number, "undone")
    await bot.shows(BEN, f"✅ The hashtags of #{row.post_id} are removed")
    shown = message(bot, number)
    assert (shown["text"], shown["entities"]) == (TEXT, [BOLD])
    again = RemoveHashtagsButton(post=row.post_id, here=True).pack()
    assert "any more" in (await telegram.press(BEN, card["message_id"], again, forge=True)).text
    buttons = telegram.buttons(BEN, (await bot.say(BEN, f"/post {row.post_id}"))["message_id"])
    assert "↩️ Remove hashtags" not in [button["text"] for button in buttons]
    answer = await bot.say(BEN, f"/regen {row.post_id}")
    await bot.shows(BEN, f"✅ #{row.post_id}", answer["message_id"])
    await with_hashtags(bot, telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June"))
    assert message(bot, number)["text"] == TEXT


async def test_undo_of_the_last_post(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    first = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, first)
    last = telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June")
    await with_hashtags(bot, last)
    await in_state(bot, last, "written")
    for number in (last, first):
        await in_state(bot, number, "written")
        listed = await bot.say(BEN, "/hashtags")
        await telegram.press(BEN, listed["message_id"], "↩️ Undo last post")
        row = await in_state(bot, number, "undone")
        # A second press must not undo an older post.
        assert "↩️" not in str(telegram.buttons(BEN, listed["message_id"]))
        await bot.shows(BEN, f"✅ The hashtags of #{row.post_id} are removed")
    listed = await bot.say(BEN, "/hashtags")
    assert "↩️" not in str(telegram.buttons(BEN, listed["message_id"]))


async def test_who_cannot_be_rid_of_hashtags_hears_it(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, number)
    row = await in_state(bot, number, "written")
    telegram.fail_next("editMessageText", 400, "Bad Request: MESSAGE_TOO_LONG", chat_id=CHANNEL)
    card = await bot.say(BEN, f"/post {row.post_id}")
    await telegram.press(BEN, card["message_id"], "↩️ Remove hashtags")
    await bot.shows(BEN, f"did not let me remove the hashtags of #{row.post_id}")


async def test_nobody_else_may_press(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, number)
    row = await in_state(bot, number, "written")
    for person in (ANNA, BOSS):
        mine = await bot.say(person, "/hashtags")
        for button in (
            HashtagSwitchButton(channel=CHANNEL, on=False, sure=True),
            HashtagSwitchButton(channel=CHANNEL, on=True, sure=False),
            HashtagSwitchButton(channel=OTHER, on=True, sure=True),
            RemoveHashtagsButton(post=row.post_id, here=True),
            RemoveHashtagsButton(post=999, here=True),
        ):
            answer = await telegram.press(person, mine["message_id"], button.pack(), forge=True)
            assert answer.text in {"Это не ваш канал.", "This is not your channel."}
    assert "↩️" not in str(telegram.buttons(BOSS, (await bot.say(BOSS, f"/post {row.post_id}"))["message_id"]))
    assert message(bot, number)["edits"] == 1


async def test_switched_off_nothing_is_written(bot: Running, telegram: TelegramSandbox) -> None:
    listed = await switch_on(bot)
    assert (await telegram.press(BEN, listed["message_id"], "✅ News & <more>")).text == "Hashtags are off."
    number = telegram.channel_post(CHANNEL, TEXT)
    await until_tagged(bot, TEXT)
    await switch_on(bot)
    await with_hashtags(bot, telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June"))
    assert message(bot, number)["edits"] == 0


async def until_tagged(bot: Running, text: str) -> None:
    query = select(Post.id).where(Post.text == text, Post.tagging_status == "success")
    async with asyncio.timeout(20):
        while True:
            async with bot.database.read() as session:
                if (await session.execute(query)).first() is not None:
                    return
            await asyncio.sleep(0.01)


async def set_right(bot: Running, *, can_edit: bool) -> None:
    """Change the bot's right to edit, and wait until the update is handled."""
    bot.telegram.set_bot_rights(CHANNEL, BEN, can_edit=can_edit)
    query = select(ChannelOwner.can_edit).where(ChannelOwner.telegram_channel_id == CHANNEL)
    async with asyncio.timeout(20):
        while True:
            async with bot.database.read() as session:
                if (await session.execute(query)).scalar_one() is can_edit:
                    return
            await asyncio.sleep(0.01)


async def test_without_the_right_it_says_how_to_give_it(bot: Running, telegram: TelegramSandbox) -> None:
    await set_right(bot, can_edit=False)
    listed = await bot.say(BEN, "/hashtags")
    await telegram.press(BEN, listed["message_id"], "⬜ News & <more> · ⚠️ no right to edit")
    await bot.shows(BEN, "Edit messages of others", listed["message_id"])
    await set_right(bot, can_edit=True)
    await switch_on(bot)


@pytest.mark.parametrize("how", ["told", "silently", "removed"])
async def test_the_owner_hears_once_that_the_right_is_gone(bot: Running, telegram: TelegramSandbox, how: str) -> None:
    await switch_on(bot)
    if how == "removed":
        telegram.remove_bot_from_channel(CHANNEL, BEN)
    else:
        telegram.set_bot_rights(CHANNEL, BEN, can_edit=False, told=how == "told")
        number = telegram.channel_post(CHANNEL, TEXT)
    words = "I was taken out of News & <more>" if how == "removed" else "Hashtags in News & <more> are off"
    await bot.shows(BEN, words)
    if how == "silently":
        await in_state(bot, number, "refused")
    await bot.say(BEN, "/hashtags")
    assert len([m for m in telegram.from_bot(BEN) if words in m["text"]]) == 1


async def test_flood_waits_and_faults_are_waited_out(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    telegram.fail_next("editMessageText", 429, "Too Many Requests: retry after 1", retry_after=1)
    number = telegram.channel_post(CHANNEL, TEXT)
    await with_hashtags(bot, number)
    telegram.fail_next("editMessageText", 502, "Bad Gateway")
    await with_hashtags(bot, telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June"))
    edits = [call for call in telegram.calls if call.method == "editMessageText"]
    ours = [call.at for call in edits if call.params["chat_id"] == str(CHANNEL)]
    assert len(ours) == 4
    assert ours[1] - ours[0] >= 1.0


async def test_a_refused_post_is_not_tried_again(bot: Running, telegram: TelegramSandbox) -> None:
    await switch_on(bot)
    telegram.fail_next("editMessageText", 400, "Bad Request: message to edit not found")
    number = telegram.channel_post(CHANNEL, TEXT)
    row = await in_state(bot, number, "refused")
    assert "not found" in (row.error or "")
    await with_hashtags(bot, telegram.channel_post(CHANNEL, "A tram line is closed for repairs in June"))
    assert message(bot, number)["edits"] == 0


async def test_an_edit_whose_outcome_was_lost_is_made_again(bot: Running, telegram: TelegramSandbox) -> None:
    """As after a crash: Telegram accepted the edit, but the row does not say so."""
    await switch_on(bot)
    number = telegram.channel_post(CHANNEL, TEXT)
    shown = await with_hashtags(bot, number)
    row = await in_state(bot, number, "written")
    async with bot.database.write() as session:
        lost = await session.get_one(HashtagRow, row.post_id)
        lost.state, lost.line, lost.other_line, lost.edited_at = "waiting", None, row.line, None
    again = await in_state(bot, number, "written")
    assert (again.line, message(bot, number)["text"]) == (row.line, shown["text"])
    await until(lambda: any("not modified" in error.description for error in telegram.errors))


async def test_what_people_did_meanwhile_is_heard_first(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """After an outage the bot edits a post that its author has edited meanwhile: the author's text stays."""
    async with running_bot(database, telegram, provider) as bot:
        telegram.add_channel(CHANNEL, "News & <more>", "news")
        telegram.add_bot_to_channel(CHANNEL, BEN)
        await bot.shows(BEN, "From now on I tag new posts")
        await switch_on(bot)
        bot.writer.stop()
        number = telegram.channel_post(CHANNEL, TEXT)
        await until_tagged(bot, TEXT)
    telegram.edit_channel_post(CHANNEL, number, "A new text")
    client = make_bot(telegram.token, telegram.url)
    writer = product.HashtagWriter(client, ChannelHashtags(database, lambda: None, utc_now))
    task = asyncio.create_task(writer.run())
    await telegram.wait_for(lambda: len([c for c in telegram.calls if c.method == "getWebhookInfo"]) >= 5)
    assert message(bot, number)["text"] == "A new text"
    telegram.world.updates.clear()
    await with_hashtags(bot, number, edits=2)
    writer.stop()
    await task
    await client.session.close()
