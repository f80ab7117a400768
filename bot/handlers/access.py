from aiogram import Bot, Router
from aiogram.types import CallbackQuery, Message

from bot.handlers.replies import show
from bot.i18n import Html, Texts, join
from bot.keyboards.access import AccessDecisionButton
from bot.telegram.middlewares import Toast
from bot.views import access as views
from bot.views import errors
from services.accounts.people import CurrentUser, People


async def decide(
    press: CallbackQuery,
    callback_data: AccessDecisionButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    people: People,
    toast: Toast,
) -> None:
    if not user.is_admin:
        toast.text = errors.admins_only(t)
        return
    if not await people.decide_access(callback_data.person, callback_data.approve):
        toast.text = t.plain("That was decided before.")
        return
    decision = views.decided(t, approved=callback_data.approve, by=press.from_user.full_name)
    await show(press, bot, _below(press, decision))


def _below(press: CallbackQuery, line: Html) -> Html:
    if not isinstance(press.message, Message) or not press.message.text:
        return line
    return join("\n\n", [Html(press.message.html_text), line])


def router() -> Router:
    made = Router(name="access")
    made.callback_query.register(decide, AccessDecisionButton.filter())
    return made
