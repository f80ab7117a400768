"""The bot's calls are those that aiogram's own session would make."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.methods import (
    AnswerCallbackQuery,
    EditMessageText,
    GetChatMember,
    SendMessage,
    SetMyCommands,
    SetWebhook,
    TelegramMethod,
)
from aiogram.types import (
    BotCommand,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
)
from aiohttp import BytesPayload
from hypothesis import given
from hypothesis import strategies as st

from bot.telegram.dispatcher import make_bot
from bot.telegram.rate_limit import Pace
from bot.telegram.session import QuickSession

BUTTONS = InlineKeyboardMarkup(
    inline_keyboard=[[InlineKeyboardButton(text="Ещё & <b>", callback_data="a:1")], [InlineKeyboardButton(text="u")]]
)
METHODS: list[TelegramMethod[Any]] = [
    SendMessage(chat_id=5, text="<b>Посты</b> & + % ; = 🙂\nещё", reply_markup=BUTTONS),
    SendMessage(chat_id=-100, text="", disable_notification=False, parse_mode=None),
    SendMessage(chat_id=1, text="a", reply_parameters=ReplyParameters(message_id=3, allow_sending_without_reply=True)),
    SendMessage(chat_id=1, text="a", link_preview_options=LinkPreviewOptions(is_disabled=False)),
    EditMessageText(chat_id=1, message_id=2, text="a", reply_markup=InlineKeyboardMarkup(inline_keyboard=[])),
    AnswerCallbackQuery(callback_query_id="7", text=None, show_alert=False, cache_time=0),
    GetChatMember(chat_id="@channel", user_id=0),
    SetMyCommands(commands=[BotCommand(command="stats", description="Посты")], language_code="ru"),
    SetWebhook(url="https://example.org/hook?a=b&c", allowed_updates=["message", "callback_query"]),
]


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    made = make_bot("1:a")
    yield made
    await made.session.close()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
async def test_a_form_says_what_aiograms_would(bot: Bot, method: TelegramMethod[Any]) -> None:
    """Every value, with the bot's defaults; JSON may be spaced otherwise."""
    expected = AiohttpSession().build_form_data(bot, method)()
    assert isinstance(expected, BytesPayload)
    assert _values(QuickSession(Pace()).form(bot, method).decode()) == _values(expected.decode())


def _values(form: str) -> dict[str, Any]:
    values = {name: value for name, (value,) in parse_qs(form, strict_parsing=True).items()}
    return {name: json.loads(value) if value[0] in "[{" else value for name, value in values.items()}


@given(st.text(min_size=1))
async def test_any_text_arrives_as_it_is(text: str) -> None:
    """What a form's own signs are is escaped."""
    made = make_bot("1:a")
    form = QuickSession(Pace()).form(made, SendMessage(chat_id=1, text=text))
    assert parse_qs(form.decode(), encoding="utf-8", errors="strict")["text"] == [text]
