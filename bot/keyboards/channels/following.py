from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import button
from services.following.channel_names import is_name


class FollowButton(CallbackData, prefix="follow"):
    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{3,31}$")]


def follow_button(t: Texts, name: str) -> InlineKeyboardButton:
    return button(t.plain("➕ Follow @{name}", name=name), FollowButton(name=name))


def with_follow(t: Texts, markup: InlineKeyboardMarkup | None, name: str | None) -> InlineKeyboardMarkup | None:
    """Add Follow to a keyboard, if `name` is a channel's public name."""
    if name is None or not is_name(name):
        return markup
    rows = markup.inline_keyboard if markup is not None else []
    return InlineKeyboardMarkup(inline_keyboard=[*rows, [follow_button(t, name)]])
