from collections.abc import Mapping
from functools import partial
from typing import Any

from aiogram.types import InlineKeyboardMarkup

from bot.i18n import Texts
from bot.keyboards.channels.channels import ChannelListButton, channel_button, older_posts
from bot.keyboards.common import button
from services.library.cursor import MAX_ID


def channel_news(t: Texts, payload: Mapping[str, Any]) -> InlineKeyboardMarkup | None:
    channel, kind = payload.get("channel"), payload.get("text")
    if not isinstance(channel, int) or not 1 <= channel <= MAX_ID:
        return None
    to_list = [button(t.plain("📡 My channels"), ChannelListButton(page=1, here=False))]
    if kind not in {"added", "older"}:
        return InlineKeyboardMarkup(inline_keyboard=[to_list])
    running = kind == "older" and not payload.get("done")
    make = partial(channel_button, channel=channel, page=1, card=True)
    rows = older_posts(t, make, running=running, at_beginning=bool(payload.get("at_beginning")))
    return InlineKeyboardMarkup(inline_keyboard=rows if running else [*rows, to_list])
