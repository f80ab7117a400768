from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import button


class AccessDecisionButton(CallbackData, prefix="access"):
    person: Annotated[int, Field(ge=1, le=2**53)]
    approve: bool


class ApproveAfterAllButton(CallbackData, prefix="allow"):
    """Approves a person whose request was declined."""

    person: Annotated[int, Field(ge=1, le=2**53)]


def declined(t: Texts, person: int) -> InlineKeyboardMarkup:
    label = t.plain("✅ Approve after all")
    return InlineKeyboardMarkup(inline_keyboard=[[button(label, ApproveAfterAllButton(person=person))]])


def access_request(t: Texts, person: int) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [
                button(t.plain("✅ Approve"), AccessDecisionButton(person=person, approve=True)),
                button(t.plain("🚫 Decline"), AccessDecisionButton(person=person, approve=False)),
            ]
        ]
    )
