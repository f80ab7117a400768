from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import button
from services.library.cursor import MAX_ID


class PersonalChatsButton(CallbackData, prefix="personal"):
    """Answers whether an import's posts of personal chats are tagged."""

    work: Annotated[int, Field(ge=1, le=MAX_ID)]
    tag: bool


def personal_chats(t: Texts, import_id: int, *, left_out: bool = False) -> InlineKeyboardMarkup:
    """`left_out`: the person said no, and may change their mind."""
    tag = button(t.plain("🏷 Tag them too"), PersonalChatsButton(work=import_id, tag=True))
    leave = button(t.plain("🔒 Leave out"), PersonalChatsButton(work=import_id, tag=False))
    return InlineKeyboardMarkup(inline_keyboard=[[tag] if left_out else [tag, leave]])
