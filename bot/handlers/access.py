from aiogram import Bot, Router
from aiogram.types import CallbackQuery, Message

from bot.handlers.replies import show
from bot.i18n import Html, Texts, join
from bot.keyboards import access as keyboards
from bot.keyboards.access import AccessDecisionButton, ApproveAfterAllButton
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
    markup = None if callback_data.approve else keyboards.declined(t, callback_data.person)
    await show(press, bot, _below(press, decision), markup)


async def approve_after_all(
    press: CallbackQuery,
    callback_data: ApproveAfterAllButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    people: People,
    toast: Toast,
) -> None:
    if not user.is_admin:
        toast.text = errors.admins_only(t)
        return
    if not await people.decide_access(callback_data.person, approve=True, after_all=True):
        toast.text = t.plain("That was decided before.")
        return
    await show(press, bot, _below(press, views.decided(t, approved=True, by=press.from_user.full_name)))


def _below(press: CallbackQuery, line: Html) -> Html:
    if not isinstance(press.message, Message) or not press.message.text:
        return line
    return join("\n\n", [Html(press.message.html_text), line])


def router() -> Router:
    made = Router(name="access")
    made.callback_query.register(decide, AccessDecisionButton.filter())
    made.callback_query.register(approve_after_all, ApproveAfterAllButton.filter())
    return made
