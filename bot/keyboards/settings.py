from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import Rows, SettingsButton, SettingsPage, back_to_settings, button
from bot.keyboards.tags.rules import ALL_CHANNELS, RulesAction, RulesButton
from bot.views import settings as views
from services.accounts.preferences import FailureNotices, Settings

#: Hours in one row.
IN_ROW = 6
#: Offered as buttons; any other is given with the command.
TIME_ZONES = (
    "Europe/Kaliningrad",
    "Europe/Moscow",
    "Europe/Samara",
    "Asia/Yekaterinburg",
    "Asia/Omsk",
    "Asia/Krasnoyarsk",
    "Asia/Irkutsk",
    "Asia/Yakutsk",
    "Asia/Vladivostok",
    "Asia/Magadan",
    "Europe/Minsk",
    "Asia/Tbilisi",
    "Asia/Almaty",
    "Asia/Tashkent",
    "Europe/Berlin",
    "UTC",
)
Hour = Annotated[int, Field(ge=0, le=23)]


class TimeZoneButton(CallbackData, prefix="time_zone"):
    name: str


class FailuresButton(CallbackData, prefix="failures"):
    choice: FailureNotices


class QuietButton(CallbackData, prefix="quiet"):
    """`start` and `end` None: no quiet hours. Only `end` None: the person chooses the end next."""

    start: Hour | None = None
    end: Hour | None = None


def main(t: Texts) -> InlineKeyboardMarkup:
    rows: Rows = [
        [button(t.plain("🌍 Time zone"), SettingsButton(page=SettingsPage.TIME_ZONE))],
        [button(t.plain("❌ Failed posts"), SettingsButton(page=SettingsPage.FAILURES))],
        [button(t.plain("🌙 Quiet hours"), SettingsButton(page=SettingsPage.QUIET))],
        [button(t.plain("🏷 Rules for tags"), RulesButton(action=RulesAction.OPEN, channel=ALL_CHANNELS))],
    ]
    return InlineKeyboardMarkup(inline_keyboard=rows)


def time_zones(t: Texts, found: Settings) -> InlineKeyboardMarkup:
    buttons = [
        _choice(t.place(zone), TimeZoneButton(name=zone), is_chosen=zone == found.time_zone) for zone in TIME_ZONES
    ]
    return InlineKeyboardMarkup(inline_keyboard=[*_in_rows(buttons, 2), [back_to_settings(t)]])


def failures(t: Texts, found: Settings) -> InlineKeyboardMarkup:
    rows: Rows = [
        [_choice(views.failures(t, choice, found), FailuresButton(choice=choice), is_chosen=choice is found.failures)]
        for choice in FailureNotices
    ]
    return InlineKeyboardMarkup(inline_keyboard=[*rows, [back_to_settings(t)]])


def quiet(t: Texts, found: Settings, start: int | None) -> InlineKeyboardMarkup:
    """The hours to begin at, or, after `start`, to end at."""
    if start is None:
        buttons = [button(views.hour(hour), QuietButton(start=hour)) for hour in range(24)]
    else:
        ends = [(start + hours) % 24 for hours in range(1, 24)]
        buttons = [button(views.hour(hour), QuietButton(start=start, end=hour)) for hour in ends]
    rows = _in_rows(buttons, IN_ROW)
    if found.quiet is not None and start is None:
        rows.append([button(t.plain("🔔 No quiet hours"), QuietButton())])
    return InlineKeyboardMarkup(inline_keyboard=[*rows, [back_to_settings(t)]])


def _choice(text: str, data: CallbackData, *, is_chosen: bool) -> InlineKeyboardButton:
    return button(f"✓ {text}" if is_chosen else text, data)


def _in_rows(buttons: list[InlineKeyboardButton], length: int) -> Rows:
    return [buttons[i : i + length] for i in range(0, len(buttons), length)]
