from aiogram import Bot
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.i18n import Texts

#: Reading needs none; hashtags are written by editing. https://core.telegram.org/api/links#groupchannel-bot-links
RIGHTS = "post_messages+edit_messages"


async def add_to_channel(t: Texts, bot: Bot) -> InlineKeyboardMarkup:
    """Opens Telegram's dialog that adds the bot to a channel as an administrator."""
    url = f"https://t.me/{(await bot.me()).username}?startchannel&admin={RIGHTS}"
    return InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text=t.plain("➕ Add me to a channel"), url=url)]]
    )
