"""Answers to presses: in the pressed message where it can be edited, else in a new one."""

from __future__ import annotations

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from services.accounts.people import Caller


def owner_scope(caller: Caller) -> int | None:
    """Whose posts a person reaches: an administrator everybody's (None)."""
    return None if caller.is_admin else caller.user_id


def user_of(caller: Caller) -> int:
    """Their users.id; 0, which nobody has, where there is none."""
    return caller.user_id or 0


def chat_of(press: CallbackQuery) -> int:
    """Where the pressed message is."""
    return press.message.chat.id if press.message is not None else press.from_user.id


async def show(
    press: CallbackQuery, bot: Bot, text: str, markup: InlineKeyboardMarkup | None = None, *, here: bool = True
) -> int:
    """Put a text into the pressed message (`here`), or into a new one; returns that message's id."""
    if here and isinstance(press.message, Message):
        try:
            await press.message.edit_text(text, reply_markup=markup)
        except TelegramBadRequest as error:
            if "not modified" not in error.message:
                return await _send(press, bot, text, markup)
        return press.message.message_id
    return await _send(press, bot, text, markup)


async def _send(press: CallbackQuery, bot: Bot, text: str, markup: InlineKeyboardMarkup | None) -> int:
    return (await bot.send_message(chat_of(press), text, reply_markup=markup)).message_id
