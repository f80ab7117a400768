from enum import StrEnum
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import Rows, button
from bot.keyboards.posts.posts import FailedPageButton
from services.library.digest_schedule import Every, Schedule

#: Hours in one row.
IN_ROW = 6


class DigestAction(StrEnum):
    OPEN = "open"
    DAILY = "daily"
    WEEKLY = "weekly"
    HOURS = "hours"
    OFF = "off"


class DigestButton(CallbackData, prefix="digest"):
    """OPEN, under other messages, switches the digest on and shows its settings in a new message."""

    action: DigestAction


class DigestHourButton(CallbackData, prefix="digest_at"):
    hour: Annotated[int, Field(ge=0, le=23)]


def settings(t: Texts, schedule: Schedule | None) -> InlineKeyboardMarkup:
    rows: Rows = [
        [
            _choice(t.plain("Daily"), DigestAction.DAILY, is_chosen=_is(schedule, Every.DAILY)),
            _choice(t.plain("Weekly"), DigestAction.WEEKLY, is_chosen=_is(schedule, Every.WEEKLY)),
        ]
    ]
    if schedule is not None:
        rows.append(
            [
                button(t.plain("🕘 Hour"), DigestButton(action=DigestAction.HOURS)),
                button(t.plain("Switch off"), DigestButton(action=DigestAction.OFF)),
            ]
        )
    return InlineKeyboardMarkup(inline_keyboard=rows)


def _is(schedule: Schedule | None, every: Every) -> bool:
    return schedule is not None and schedule.every is every


def _choice(text: str, action: DigestAction, *, is_chosen: bool) -> InlineKeyboardButton:
    return button(f"✓ {text}" if is_chosen else text, DigestButton(action=action))


def hours() -> InlineKeyboardMarkup:
    buttons = [button(f"{hour:02}:00", DigestHourButton(hour=hour)) for hour in range(24)]
    return InlineKeyboardMarkup(inline_keyboard=[buttons[i : i + IN_ROW] for i in range(0, 24, IN_ROW)])


def digest(t: Texts, *, failed: int) -> InlineKeyboardMarkup:
    rows: Rows = [[button(t.plain("❌ Show failed"), FailedPageButton(page=1, here=False))]] if failed else []
    rows.append([button(t.plain("🗞 Digest settings"), DigestButton(action=DigestAction.OPEN))])
    return InlineKeyboardMarkup(inline_keyboard=rows)


def open_button(t: Texts, schedule: Schedule | None) -> InlineKeyboardButton:
    """Under /stats: what it is, or when it comes."""
    if schedule is None:
        text = t.plain("🗞 Daily digest")
    elif schedule.every is Every.WEEKLY:
        text = t.plain("🗞 Digest: Mondays at {hour}", hour=f"{schedule.hour:02}:00")
    else:
        text = t.plain("🗞 Digest: daily at {hour}", hour=f"{schedule.hour:02}:00")
    return button(text, DigestButton(action=DigestAction.OPEN))
