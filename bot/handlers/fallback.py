"""Whatever nothing else took."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.types import CallbackQuery, Message

from bot.handlers.answering import Toast
from bot.i18n import Texts
from bot.views import help as views


async def anything(message: Message, t: Texts) -> None:
    """A word on what can be done."""
    await message.answer(views.hint(t))


async def forged(_press: CallbackQuery, t: Texts, toast: Toast) -> None:
    """A button of another version, or made up."""
    toast.text = t.plain("This button no longer works.")


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="fallback")
    made.message.register(anything, F.text | F.photo | F.video | F.document | F.audio | F.voice)
    made.callback_query.register(forged)
    return made
