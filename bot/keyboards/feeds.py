from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup

from bot.i18n import Texts
from bot.keyboards.common import button


class NewFeedLinkButton(CallbackData, prefix="feed"):
    """Replaces the secret in the user's feed links; the old links stop working."""


def feed(t: Texts) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[button(t.plain("🔑 New link"), NewFeedLinkButton())]])
