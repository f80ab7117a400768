"""The administrators' buttons: let a stranger in, ask the provider again."""

from __future__ import annotations

from aiogram import Bot, Router
from aiogram.types import CallbackQuery, Message

from bot.handlers.replies import show
from bot.i18n import Html, Texts, join
from bot.keyboards import AccessRequest, TryNow
from bot.telegram.middlewares import Toast
from bot.views import access as views
from bot.views import help as help_views
from services.accounts.people import Caller, People
from services.tagging.service import TaggingService


async def decide(
    press: CallbackQuery,
    callback_data: AccessRequest,
    bot: Bot,
    t: Texts,
    caller: Caller,
    people: People,
    toast: Toast,
) -> None:
    """Approve or decline; the person is told through the outbox."""
    if not caller.is_admin:
        toast.text = help_views.admins_only(t)
        return
    if not await people.decide_access(callback_data.person, callback_data.approve):
        toast.text = t.plain("That was decided before.")
        return
    decision = views.decided(t, approved=callback_data.approve, by=press.from_user.full_name)
    await show(press, bot, _under(press, decision))


async def try_now(
    press: CallbackQuery, bot: Bot, t: Texts, caller: Caller, tagging: TaggingService, toast: Toast
) -> None:
    """Ask the provider once in spite of the pause."""
    if not caller.is_admin:
        toast.text = help_views.admins_only(t)
        return
    await tagging.probe()
    toast.text = t.plain("One request goes out; I tell you if the provider answers.")


def _under(press: CallbackQuery, line: Html) -> Html:
    said = Html(press.message.html_text) if isinstance(press.message, Message) and press.message.text else None
    return join("\n\n", [said, line]) if said else line


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="access")
    made.callback_query.register(decide, AccessRequest.filter())
    made.callback_query.register(try_now, TryNow.filter())
    return made
