from enum import StrEnum
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton
from pydantic import Field

from bot.i18n import Texts
from services.library.cursor import MAX_ID

PostId = Annotated[int, Field(ge=1, le=MAX_ID)]
Rows = list[list[InlineKeyboardButton]]


class SettingsPage(StrEnum):
    MAIN = "main"
    TIME_ZONE = "zone"
    FAILURES = "failures"
    QUIET = "quiet"


class SettingsButton(CallbackData, prefix="settings"):
    page: SettingsPage


def back_to_settings(t: Texts) -> InlineKeyboardButton:
    return button(t.plain("⬅️ Settings"), SettingsButton(page=SettingsPage.MAIN))


def button(text: str, data: CallbackData) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=text, callback_data=data.pack())
