from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import button


class RetryAllButton(CallbackData, prefix="retry"):
    """`here`: show the progress in this message."""

    here: bool


class StopRetryButton(CallbackData, prefix="stop"):
    run: Annotated[int, Field(ge=1, le=2**63 - 1)]


def stop(t: Texts, run_id: int) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[button(t.plain("⏹ Stop"), StopRetryButton(run=run_id))]])
