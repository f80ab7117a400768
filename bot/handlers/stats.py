"""/stats and its button."""

from __future__ import annotations

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot import keyboards
from bot.handlers.replies import show
from bot.i18n import Html, Texts
from bot.keyboards import Refresh
from bot.telegram.middlewares import Toast
from bot.views import help as help_views
from bot.views import stats as views
from services.accounts.people import Caller
from services.clock import utc_now
from services.library.overview import Overview
from services.tagging.service import TaggingService


async def stats(
    message: Message, command: CommandObject, t: Texts, caller: Caller, overview: Overview, tagging: TaggingService
) -> None:
    """One's own posts, or with `all` everybody's."""
    argument = (command.args or "").strip().lower()
    if argument not in {"", "all"}:
        await message.answer(help_views.usage_stats(t))
    elif argument and not caller.is_admin:
        await message.answer(help_views.admins_only(t))
    else:
        text, markup = await _render(t, caller, overview, tagging, everybody=bool(argument))
        await message.answer(text, reply_markup=markup)


async def refresh(
    press: CallbackQuery,
    callback_data: Refresh,
    bot: Bot,
    t: Texts,
    caller: Caller,
    overview: Overview,
    tagging: TaggingService,
    toast: Toast,
) -> None:
    """The same again, in the same message."""
    if callback_data.everybody and not caller.is_admin:
        toast.text = help_views.admins_only(t)
        return
    text, markup = await _render(t, caller, overview, tagging, everybody=callback_data.everybody)
    await show(press, bot, text, markup)
    toast.text = t.plain("Up to date")


async def _render(
    t: Texts, caller: Caller, overview: Overview, tagging: TaggingService, *, everybody: bool
) -> tuple[Html, InlineKeyboardMarkup]:
    found = await overview.stats(None if everybody else caller.user_id)
    state = await tagging.provider_state(backlog=found.waiting > 0)
    text = views.stats(t, found, state, everybody=everybody, now=utc_now())
    return text, keyboards.stats(t, everybody=everybody, failed=found.by_status.get("failed", 0))


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="stats")
    made.message.register(stats, Command("stats", ignore_case=True))
    made.callback_query.register(refresh, Refresh.filter())
    return made
