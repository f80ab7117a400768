from enum import StrEnum

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.i18n import Texts
from bot.keyboards.common import Rows, button
from bot.keyboards.posts.find import PageNumber
from bot.keyboards.tags.tags import RowId
from bot.views.common import shorten
from bot.views.posts.watch import every_name
from services.library.watch_query import WatchEvery
from services.library.watches import Watch, WatchPage


class WatchAction(StrEnum):
    SHOW = "show"
    NOW = "now"
    HOURLY = "hourly"
    DAILY = "daily"
    PAUSE = "pause"
    RESUME = "resume"
    REMOVE = "remove"


class WatchButton(CallbackData, prefix="watch"):
    action: WatchAction
    watch: RowId


class WatchPageButton(CallbackData, prefix="watches"):
    page: PageNumber


def watch(t: Texts, shown: Watch) -> InlineKeyboardMarkup:
    def make(text: str, action: WatchAction) -> InlineKeyboardButton:
        return button(text, WatchButton(action=action, watch=shown.id))

    often = [
        make(f"✓ {every_name(t, every)}" if every is shown.every else every_name(t, every), WatchAction(every.value))
        for every in WatchEvery
    ]
    turn = (
        make(t.plain("▶️ Resume"), WatchAction.RESUME) if shown.paused else make(t.plain("⏸ Pause"), WatchAction.PAUSE)
    )
    return InlineKeyboardMarkup(inline_keyboard=[often, [turn, make(t.plain("🗑 Remove"), WatchAction.REMOVE)]])


def watches(shown: WatchPage) -> InlineKeyboardMarkup | None:
    rows: Rows = [
        [
            button(
                f"{'⏸' if each.paused else '🔔'}{'' if each.is_private else ' 👥'} {shorten(each.query, 50)}",
                WatchButton(action=WatchAction.SHOW, watch=each.id),
            )
        ]
        for each in shown.watches
    ]
    turns = [("◀️", shown.page - 1)] if shown.page > 1 else []
    turns += [("▶️", shown.page + 1)] if shown.has_more else []
    if turns:
        rows.append([button(sign, WatchPageButton(page=page)) for sign, page in turns])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None
