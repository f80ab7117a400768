from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup

from bot.i18n import Texts
from bot.keyboards.common import button


class TryNowButton(CallbackData, prefix="try"):
    """Sends one request to the provider in spite of a pause."""


def try_now(t: Texts) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[button(t.plain("🔁 Try now"), TryNowButton())]])
