from aiogram import Bot, Router
from aiogram.filters import Command
from aiogram.types import Message

from bot.i18n import Texts
from bot.keyboards.help import add_to_channel
from bot.views import help as views
from services.accounts.people import CurrentUser
from services.tagging.service import TaggingService


async def start(message: Message, bot: Bot, t: Texts, tagging: TaggingService) -> None:
    markup = await add_to_channel(t, bot)
    await message.answer(views.start(t, enabled=tagging.enabled), reply_markup=markup)


async def help_(message: Message, t: Texts, user: CurrentUser, tagging: TaggingService) -> None:
    await message.answer(views.help_text(t, admin=user.is_admin, enabled=tagging.enabled))


def router() -> Router:
    made = Router(name="help")
    made.message.register(start, Command("start", ignore_case=True))
    made.message.register(help_, Command("help", ignore_case=True))
    return made
