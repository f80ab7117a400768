from aiogram import F, Router
from aiogram.types import CallbackQuery, Message

from bot.handlers.following import not_followed
from bot.i18n import Texts
from bot.keyboards.following import with_follow
from bot.telegram.middlewares import Toast
from bot.views import following as following_views
from bot.views import help as views
from services.accounts.people import CurrentUser
from services.following.channel_names import only_name
from services.following.service import ChannelService


async def anything(message: Message, t: Texts, user: CurrentUser, channels: ChannelService) -> None:
    name = only_name(message.text or "")
    if name is None:
        await message.answer(views.hint(t))
    elif await not_followed(name, user, channels) is None:
        await message.answer(following_views.known(t, name))
    else:
        await message.answer(following_views.offer(t, name), reply_markup=with_follow(t, None, name))


async def forged(_press: CallbackQuery, t: Texts, toast: Toast) -> None:
    toast.text = t.plain("This button no longer works.")


def router() -> Router:
    made = Router(name="fallback")
    made.message.register(anything, F.text | F.photo | F.video | F.document | F.audio | F.voice)
    made.callback_query.register(forged)
    return made
