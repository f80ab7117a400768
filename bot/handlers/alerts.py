from aiogram import Router
from aiogram.types import CallbackQuery

from bot.i18n import Texts
from bot.keyboards.alerts import TryNowButton
from bot.telegram.middlewares import Toast
from bot.views import errors
from services.accounts.people import CurrentUser
from services.tagging.service import TaggingService


async def try_now(_press: CallbackQuery, t: Texts, user: CurrentUser, tagging: TaggingService, toast: Toast) -> None:
    if not user.is_admin:
        toast.text = errors.admins_only(t)
        return
    await tagging.probe()
    toast.text = t.plain("One request goes out; I tell you if the provider answers.")


def router() -> Router:
    made = Router(name="alerts")
    made.callback_query.register(try_now, TryNowButton.filter())
    return made
