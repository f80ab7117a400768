"""Whatever nothing else took."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.types import CallbackQuery, Message

from bot.handlers.following import not_followed
from bot.i18n import Texts
from bot.keyboards.channels import with_follow
from bot.telegram.middlewares import Toast
from bot.views import channels as channel_views
from bot.views import help as views
from services.accounts.people import Caller
from services.following.channel_names import only_name
from services.following.service import Channels


async def anything(message: Message, t: Texts, caller: Caller, channels: Channels) -> None:
    """A word on what can be done; to a channel's name, the offer to follow it."""
    name = only_name(message.text or "")
    if name is None:
        await message.answer(views.hint(t))
    elif await not_followed(name, caller, channels) is None:
        await message.answer(channel_views.known(t, name))
    else:
        await message.answer(channel_views.offer(t, name), reply_markup=with_follow(t, None, name))


async def forged(_press: CallbackQuery, t: Texts, toast: Toast) -> None:
    """A button of another version, or made up."""
    toast.text = t.plain("This button no longer works.")


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="fallback")
    made.message.register(anything, F.text | F.photo | F.video | F.document | F.audio | F.voice)
    made.callback_query.register(forged)
    return made
