from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message


def chat_of(press: CallbackQuery) -> int:
    return press.message.chat.id if press.message is not None else press.from_user.id


async def show(
    press: CallbackQuery, bot: Bot, text: str, markup: InlineKeyboardMarkup | None = None, *, here: bool = True
) -> int:
    """Show a text in the pressed message if `here`, else in a new one. Returns the message's id."""
    if here and isinstance(press.message, Message):
        try:
            await press.message.edit_text(text, reply_markup=markup)
            return press.message.message_id
        except TelegramBadRequest as error:
            if "not modified" in error.message:
                return press.message.message_id
    return (await bot.send_message(chat_of(press), text, reply_markup=markup)).message_id
