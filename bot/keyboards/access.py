from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import button


class AccessDecisionButton(CallbackData, prefix="access"):
    person: Annotated[int, Field(ge=1, le=2**53)]
    approve: bool


def access_request(t: Texts, person: int) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [
                button(t.plain("✅ Approve"), AccessDecisionButton(person=person, approve=True)),
                button(t.plain("🚫 Decline"), AccessDecisionButton(person=person, approve=False)),
            ]
        ]
    )
