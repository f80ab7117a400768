from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup

from bot.i18n import Texts
from bot.keyboards.common import button


class NewFeedLinkButton(CallbackData, prefix="feed"):
    """Asks whether to replace the secret in the user's feed links."""


class RenewFeedButton(CallbackData, prefix="feedset"):
    """The answer; with `renew` the old links stop working."""

    renew: bool


def feed(t: Texts) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[button(t.plain("🔑 New link"), NewFeedLinkButton())]])


def confirm(t: Texts) -> InlineKeyboardMarkup:
    renew = button(t.plain("🔑 Make a new link"), RenewFeedButton(renew=True))
    return InlineKeyboardMarkup(inline_keyboard=[[renew, button(t.plain("Cancel"), RenewFeedButton(renew=False))]])
