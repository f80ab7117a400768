"""The Bot API stand-in checks what Telegram checks, seen by aiogram's own client."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    BotCommand,
    BotCommandScopeChat,
    BufferedInputFile,
    ChatMemberAdministrator,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InlineQueryResultsButton,
    InputTextMessageContent,
    LinkPreviewOptions,
    Message,
    MessageEntity,
    ReplyParameters,
)

from sandbox.telegram import FloodLimits, PressAnswer, TelegramSandbox
from sandbox.telegram.flood import FloodControl
from tests.sandbox.acting import ANNA, CHANNEL, client


def keyboard(data: str = "retry:1", text: str = "Retry") -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text=text, callback_data=data)]])


async def test_a_message_keeps_its_text_entities_and_buttons(telegram: TelegramSandbox, bot: Bot) -> None:
    sent = await bot.send_message(
        ANNA, '<b>Tags</b> of <a href="https://example.org">it</a> 😀 <i>x &lt; y</i>', reply_markup=keyboard()
    )
    assert sent.text == "Tags of it 😀 x < y"
    assert sent.html_text == '<b>Tags</b> of <a href="https://example.org">it</a> 😀 <i>x &lt; y</i>'
    shown = telegram.messages(ANNA)[-1]
    assert shown["html"] == sent.html_text
    assert shown["reply_markup"]["inline_keyboard"][0][0]["text"] == "Retry"
    assert telegram.errors == []


@pytest.mark.parametrize(
    "text",
    ["<b>open", "a < b", "</b>", "<b><i>x</b></i>", "<h1>x</h1>", "AT&T", "<span>x</span>", "<b", "&nbsp;"],
)
async def test_html_that_does_not_parse_refuses_the_whole_message(
    telegram: TelegramSandbox, bot: Bot, text: str
) -> None:
    with pytest.raises(TelegramBadRequest, match="can't parse entities"):
        await bot.send_message(ANNA, text)
    assert telegram.errors[-1].method == "sendMessage"
    assert telegram.messages(ANNA) == []


async def test_length_is_counted_in_utf16_after_parsing(bot: Bot) -> None:
    await bot.send_message(ANNA, "<b>" + "я" * 4096 + "</b>")
    await bot.send_message(ANNA, "😀" * 2048)
    with pytest.raises(TelegramBadRequest, match="message is too long"):
        await bot.send_message(ANNA, "😀" * 2048 + "a")


@pytest.mark.parametrize("text", [" \n ", "<b> </b>"])
async def test_an_empty_text_is_refused(bot: Bot, text: str) -> None:
    with pytest.raises(TelegramBadRequest, match="message text is empty"):
        await bot.send_message(ANNA, text)


@pytest.mark.parametrize(("data", "fits"), [("x" * 64, True), ("я" * 33, False), ("x" * 65, False)])
async def test_callback_data_has_64_bytes(bot: Bot, data: str, fits: bool) -> None:
    if fits:
        await bot.send_message(ANNA, "x", reply_markup=keyboard(data))
        return
    with pytest.raises(TelegramBadRequest, match="BUTTON_DATA_INVALID"):
        await bot.send_message(ANNA, "x", reply_markup=keyboard(data))


async def test_an_edit_to_the_same_is_an_error(telegram: TelegramSandbox, bot: Bot) -> None:
    sent = await bot.send_message(ANNA, "<b>one</b>", reply_markup=keyboard())
    with pytest.raises(TelegramBadRequest, match="message is not modified"):
        await sent.edit_text("<b>one</b>", reply_markup=keyboard())
    await sent.edit_text("one", reply_markup=keyboard())
    await sent.edit_reply_markup(reply_markup=None)
    shown = telegram.messages(ANNA)[-1]
    assert (shown["text"], shown["edits"], "reply_markup" in shown) == ("one", 2, False)
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await bot.edit_message_text("x", chat_id=ANNA, message_id=999)


async def test_whom_the_bot_may_not_write_to(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.add_user(1002, "Ben")
    with pytest.raises(TelegramForbiddenError, match="can't initiate conversation"):
        await bot.send_message(1002, "x")
    telegram.block(ANNA)
    with pytest.raises(TelegramForbiddenError, match="blocked by the user"):
        await bot.send_message(ANNA, "x")
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.send_message(5, "x")
    telegram.unblock(ANNA)
    await bot.send_message(ANNA, "x")


async def test_flood_control_says_how_long_to_wait(telegram: TelegramSandbox, bot: Bot) -> None:
    for _ in range(20):
        await bot.send_message(ANNA, "x")
    with pytest.raises(TelegramRetryAfter) as caught:
        await bot.send_message(ANNA, "x")
    assert 1 <= caught.value.retry_after <= 20


def test_flood_control_forgets_with_time() -> None:
    now = [0.0]
    control = FloodControl(FloodLimits(per_chat=(1, 1.0)), clock=lambda: now[0])
    control.check(1, group=False)
    now[0] = 1.5
    control.check(1, group=False)


async def test_faults_can_be_injected(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.fail_next("sendMessage", 429, "Too Many Requests: retry after 3", retry_after=3)
    with pytest.raises(TelegramRetryAfter):
        await bot.send_message(ANNA, "x")
    await bot.send_message(ANNA, "x")


async def test_wrong_tokens_and_methods(telegram: TelegramSandbox, bot: Bot) -> None:
    async with client(telegram, "1:wrong") as stranger:
        with pytest.raises(TelegramUnauthorizedError):
            await stranger.get_me()
    with pytest.raises(TelegramNotFound):
        await bot.send_dice(ANNA)
    assert (await bot.get_me()).id == bot.id


async def test_long_polling_wakes_and_confirms_by_offset(telegram: TelegramSandbox, bot: Bot) -> None:
    poll = asyncio.create_task(bot.get_updates(timeout=5))
    await telegram.wait_for(lambda: [c for c in telegram.calls if c.method == "getUpdates"])
    telegram.send_text(ANNA, "/start now")
    (update,) = await poll
    assert update.message is not None
    assert update.message.entities is not None
    assert update.message.entities[0].type == "bot_command"
    assert len(await bot.get_updates()) == 1
    assert await bot.get_updates(offset=update.update_id + 1) == []
    assert await bot.get_updates() == []


async def test_two_polls_conflict(telegram: TelegramSandbox, bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=5))
    await telegram.wait_for(lambda: telegram.calls)
    second = asyncio.create_task(bot.get_updates(timeout=1))
    with pytest.raises(TelegramConflictError):
        await first
    telegram.send_text(ANNA, "hi")
    assert len(await second) == 1


async def test_only_allowed_updates_come(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.add_channel(CHANNEL, "News", "news", bot_is_member=True)
    await bot.get_updates(allowed_updates=["message"])
    telegram.channel_post(CHANNEL, "post")
    telegram.send_text(ANNA, "hi")
    assert [u.event_type for u in await bot.get_updates()] == ["message"]


async def test_a_press_waits_for_its_one_answer(telegram: TelegramSandbox, bot: Bot) -> None:
    sent = await bot.send_message(ANNA, "x", reply_markup=keyboard())
    pressing = asyncio.create_task(telegram.press(ANNA, sent.message_id, "Retry"))
    (update,) = await bot.get_updates(timeout=5)
    query = update.callback_query
    assert query is not None
    assert query.data == "retry:1"
    assert telegram.unanswered()
    with pytest.raises(TelegramBadRequest):
        await bot.answer_callback_query(query.id, text="x" * 201)
    await bot.answer_callback_query(query.id, text="Done")
    assert await pressing == PressAnswer("Done")
    for unknown in (query.id, "7"):
        with pytest.raises(TelegramBadRequest, match="query is too old"):
            await bot.answer_callback_query(unknown)
    with pytest.raises(LookupError):
        await telegram.press(ANNA, sent.message_id, "Nothing")


async def test_channels_and_forwards_give_real_updates(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.add_channel(CHANNEL, "News", "news")
    telegram.channel_post(CHANNEL, "unseen")
    telegram.add_bot_to_channel(CHANNEL, ANNA)
    number = telegram.channel_post(CHANNEL, "seen #tag", media_group_id="7")
    telegram.edit_channel_post(CHANNEL, number, "seen again")
    telegram.send_forward(ANNA, CHANNEL, 5, "forwarded", 1_700_000_000)
    telegram.group_message(-100500, ANNA, "/stats@metka_sandbox_bot")
    telegram.remove_bot_from_channel(CHANNEL, ANNA)
    telegram.block(ANNA)
    kinds = [u.event_type for u in await bot.get_updates()]
    membership = "my_chat_member"
    assert kinds == [membership, "channel_post", "edited_channel_post", "message", "message", membership, membership]
    telegram.push_update({"unheard_of": {"a": 1}})
    async with aiohttp.ClientSession() as http:
        raw = await (await http.get(f"{telegram.url}/bot{telegram.token}/getUpdates?offset=-1")).json()
    assert raw["result"][0]["unheard_of"] == {"a": 1}


async def test_channel_posts_are_edited_with_the_right_to(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.add_channel(CHANNEL, "News", "news")
    telegram.add_bot_to_channel(CHANNEL, ANNA)
    number = telegram.channel_post(CHANNEL, "seen", link_preview_options={"is_disabled": True})
    photo = telegram.channel_post(CHANNEL, "caption", media_group_id="7")
    bold = MessageEntity(type="bold", offset=0, length=4)
    edit = partial(bot.edit_message_text, "seen #tag", chat_id=CHANNEL, message_id=number, parse_mode=None)
    edited = await edit(entities=[bold], link_preview_options=LinkPreviewOptions(is_disabled=True))
    assert isinstance(edited, Message)
    assert edited.edit_date
    assert [entity.type for entity in edited.entities or ()] == ["bold", "hashtag"]
    assert edited.link_preview_options
    assert edited.link_preview_options.is_disabled
    with pytest.raises(TelegramBadRequest, match="not modified"):
        await edit(entities=[bold], link_preview_options=LinkPreviewOptions(is_disabled=True))
    # What is not sent again is lost.
    plain = await edit(link_preview_options=LinkPreviewOptions(is_disabled=False))
    assert isinstance(plain, Message)
    assert (plain.link_preview_options, [entity.type for entity in plain.entities or ()]) == (None, ["hashtag"])
    await bot.edit_message_caption(chat_id=CHANNEL, message_id=photo, caption="caption #tag")
    with pytest.raises(TelegramBadRequest, match="no text in the message"):
        await bot.edit_message_text("x", chat_id=CHANNEL, message_id=photo)
    with pytest.raises(TelegramBadRequest, match="no caption in the message"):
        await bot.edit_message_caption(chat_id=CHANNEL, message_id=number, caption="x")
    assert [update.event_type for update in await bot.get_updates()] == ["my_chat_member", *["channel_post"] * 2]


async def test_channel_posts_are_not_edited_without_the_right_to(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.add_channel(CHANNEL, "News", "news")
    telegram.add_bot_to_channel(CHANNEL, ANNA)
    number = telegram.channel_post(CHANNEL, "seen")
    sent = await bot.send_message(CHANNEL, "mine")
    poll = telegram.channel_post(CHANNEL, "which?", via_bot={"id": 5, "is_bot": True, "first_name": "Polls"})
    with pytest.raises(TelegramBadRequest, match="can't be edited"):
        await bot.edit_message_text("x", chat_id=CHANNEL, message_id=poll)
    telegram.set_bot_rights(CHANNEL, ANNA, can_edit=False)
    member = await bot.get_chat_member(CHANNEL, bot.id)
    assert isinstance(member, ChatMemberAdministrator)
    assert member.can_edit_messages is False
    with pytest.raises(TelegramBadRequest, match="can't be edited"):
        await bot.edit_message_text("x", chat_id=CHANNEL, message_id=number)
    await bot.edit_message_text("mine still", chat_id=CHANNEL, message_id=sent.message_id)
    telegram.world.tells_own_edits = True
    await bot.edit_message_text("mine again", chat_id=CHANNEL, message_id=sent.message_id)
    assert (await bot.get_updates())[-1].event_type == "edited_channel_post"


async def test_members_commands_and_files(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.add_channel(CHANNEL, "News", "news")
    telegram.add_bot_to_channel(CHANNEL, ANNA)
    assert (await bot.get_chat_member(CHANNEL, ANNA)).status == "administrator"
    assert {m.user.id for m in await bot.get_chat_administrators("@news")} == {ANNA, bot.id}
    assert (await bot.get_chat("@news")).id == CHANNEL
    commands = [BotCommand(command="stats", description="Numbers")]
    await bot.set_my_commands(commands, scope=BotCommandScopeChat(chat_id=ANNA), language_code="ru")
    (got,) = await bot.get_my_commands(BotCommandScopeChat(chat_id=ANNA), language_code="ru")
    assert (got.command, got.description) == ("stats", "Numbers")
    await bot.set_my_description("Tags posts", language_code="en")
    document = (await bot.send_document(ANNA, BufferedInputFile(b"a,b\n", "tags.csv"), caption="<b>x</b>")).document
    assert document is not None
    downloaded = await bot.download(document.file_id)
    assert downloaded is not None
    assert downloaded.read() == b"a,b\n"
    await bot.send_chat_action(ANNA, "typing")


async def test_a_person_sends_a_file_which_the_bot_downloads_up_to_20_mb(telegram: TelegramSandbox, bot: Bot) -> None:
    telegram.send_document(ANNA, "result.json", b"{}", "application/json")
    telegram.send_document(ANNA, "big.json", bytes(20 * 2**20 + 1))
    small, big = [update.message.document for update in await bot.get_updates() if update.message]
    assert small is not None
    assert big is not None
    assert (small.file_name, small.mime_type, small.file_size) == ("result.json", "application/json", 2)
    downloaded = await bot.download(small)
    assert downloaded is not None
    assert downloaded.read() == b"{}"
    with pytest.raises(TelegramBadRequest, match="file is too big"):
        await bot.download(big)
    with pytest.raises(TelegramBadRequest, match="wrong file_id"):
        await bot.get_file("none")


async def test_the_page_and_its_control(telegram: TelegramSandbox, bot: Bot) -> None:
    async with aiohttp.ClientSession(telegram.url) as http:
        page = await (await http.get("/")).text()
        assert "/page/chat.js" in page
        for name in ("chat.js", "chat.css"):
            assert (await http.get(f"/page/{name}")).status == 200
        events = await http.get("/sandbox/events")
        sent = await (await http.post("/sandbox/send", json={"user_id": ANNA, "text": "hi"})).json()
        assert sent["ok"]
        assert b'"type": "message"' in await events.content.readline()
        state = await (await http.get("/sandbox/state", params={"chat_id": ANNA})).json()
        assert state["messages"][0]["text"] == "hi"
        chats = await (await http.get("/sandbox/state")).json()
        assert chats["chats"][0]["title"] == "Anna"
        telegram.add_channel(CHANNEL, "News", "news")
        number = telegram.channel_post(CHANNEL, "A post")
        forward = {"user_id": ANNA, "channel": CHANNEL, "message_id": number, "text": "A post", "date": 1_700_000_000}
        assert (await (await http.post("/sandbox/forward", json=forward)).json())["ok"]
        file = {"user_id": ANNA, "name": "result.json", "content": "{}", "mime_type": "application/json"}
        assert (await (await http.post("/sandbox/send_document", json=file)).json())["ok"]
        shown = (await (await http.get("/sandbox/state", params={"chat_id": ANNA})).json())["messages"]
        assert shown[1]["forward_origin"]["chat"]["title"] == "News"
        assert shown[2]["document"]["file_name"] == "result.json"
        reply = {"user_id": ANNA, "text": "an answer", "reply_to": shown[0]["message_id"]}
        assert (await (await http.post("/sandbox/send", json=reply)).json())["ok"]
        assert telegram.messages(ANNA)[-1]["reply_to_message"]["text"] == "hi"
        wrong = await http.post("/sandbox/press", json={"user_id": ANNA, "message_id": 77})
        assert wrong.status == 400
        assert await (await http.get("/sandbox/errors")).json() == []
        events.close()


def article(number: int = 1, text: str = "<b>Text</b>", title: str = "Title") -> InlineQueryResultArticle:
    content = InputTextMessageContent(message_text=text, parse_mode="HTML")
    return InlineQueryResultArticle(id=str(number), title=title, input_message_content=content)


async def test_an_inline_query_is_answered_once(telegram: TelegramSandbox, bot: Bot) -> None:
    """With what each result would send."""
    asking = asyncio.create_task(telegram.ask_inline(ANNA, "words", "7"))
    [update] = await bot.get_updates(timeout=5)
    query = update.inline_query
    assert query is not None
    assert (query.query, query.offset, query.from_user.id) == ("words", "7", ANNA)
    button = InlineQueryResultsButton(text="Open", start_parameter="inline")
    await query.answer([article()], is_personal=True, cache_time=5, next_offset="8", button=button)
    answer = await asking
    assert (answer.next_offset, answer.is_personal, answer.cache_time) == ("8", True, 5)
    assert (answer.results[0]["title"], answer.results[0]["text"]) == ("Title", "Text")
    assert answer.button == {"text": "Open", "start_parameter": "inline"}
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await query.answer([])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"results": [article(n) for n in range(51)]}, "RESULTS_TOO_MUCH"),
        ({"results": [article(), article()]}, "RESULT_ID_DUPLICATE"),
        ({"results": [article(text="<b>open")]}, "can't parse entities"),
        ({"results": [article(text="")]}, "message text is empty"),
        ({"results": [article(title="")]}, "ARTICLE_TITLE_EMPTY"),
        ({"results": [], "next_offset": "x" * 65}, "NEXT_OFFSET_INVALID"),
        (
            {"results": [], "button": InlineQueryResultsButton(text="x", start_parameter="a b")},
            "START_PARAM_INVALID",
        ),
    ],
)
async def test_an_inline_answer_is_checked(
    telegram: TelegramSandbox, bot: Bot, answer: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TelegramBadRequest, match=reason):
        await bot.answer_inline_query("1", **answer)


async def test_a_reply_shows_what_it_replies_to(telegram: TelegramSandbox, bot: Bot) -> None:
    """One level deep, also in the message of a press."""
    said = telegram.send_text(ANNA, "Draft")
    await bot.get_updates(offset=-1)
    sent = await bot.send_message(
        ANNA, "Tag it?", reply_parameters=ReplyParameters(message_id=said), reply_markup=keyboard()
    )
    assert sent.reply_to_message is not None
    assert sent.reply_to_message.text == "Draft"
    press = telegram.begin_press(ANNA, ANNA, sent.message_id, "retry:1")
    updates = await bot.get_updates(timeout=5)
    message = next(each.callback_query for each in updates if each.callback_query is not None).message
    assert isinstance(message, Message)
    assert message.reply_to_message is not None
    assert message.reply_to_message.text == "Draft"
    await bot.answer_callback_query(press.id)
