"""What every keyboard is made of."""

from __future__ import annotations

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton

Rows = list[list[InlineKeyboardButton]]


def button(text: str, data: CallbackData) -> InlineKeyboardButton:
    """A button that carries this."""
    return InlineKeyboardButton(text=text, callback_data=data.pack())
