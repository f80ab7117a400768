"""/export and /feed."""

from __future__ import annotations

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from bot import keyboards
from bot.delivery.export_jobs import ExportJobs
from bot.handlers.replies import chat_of, show
from bot.i18n import Texts
from bot.keyboards import ExportAs, NewFeedLink
from bot.telegram.middlewares import Toast
from bot.views import exports as views
from services.accounts.people import Caller
from services.library.export import Form
from services.library.feeds import LONGEST_TAG, Feeds


async def export(message: Message, command: CommandObject, t: Texts, caller: Caller, exports: ExportJobs) -> None:
    """The file at once, or the choice of its kind."""
    wanted = (command.args or "").strip().lower()
    if not wanted:
        await message.answer(views.choose_export(t), reply_markup=keyboards.export(t))
    elif wanted not in set(Form):
        await message.answer(views.usage_export(t))
    elif not exports.begin(caller, message.chat.id, Form(wanted)):
        await message.answer(views.export_under_way(t))


async def export_as(
    press: CallbackQuery, callback_data: ExportAs, t: Texts, caller: Caller, exports: ExportJobs, toast: Toast
) -> None:
    """The kind was chosen."""
    if not exports.begin(caller, chat_of(press), callback_data.form):
        toast.text = views.export_under_way(t)


async def feed(message: Message, command: CommandObject, t: Texts, caller: Caller, feeds: Feeds) -> None:
    """The secret link of all tagged posts, or of those with a tag."""
    tag = " ".join((command.args or "").lower().split()).lstrip("#") or None
    if tag is not None and len(tag) > LONGEST_TAG:
        await message.answer(views.tag_too_long(t))
        return
    link = await feeds.link(caller.user_id or 0, caller.telegram_id, tag)
    if link is None:
        await message.answer(views.no_public_url(t, admin=caller.is_admin))
        return
    is_empty = tag is not None and not await feeds.has_posts(caller.user_id or 0, tag)
    await message.answer(views.feed(t, link, tag, is_empty=is_empty), reply_markup=keyboards.feed(t))


async def new_feed_link(press: CallbackQuery, bot: Bot, t: Texts, caller: Caller, feeds: Feeds, toast: Toast) -> None:
    """Another secret, and the link with it."""
    await feeds.renew(caller.user_id or 0, caller.telegram_id)
    link = await feeds.link(caller.user_id or 0, caller.telegram_id)
    if link is None:
        await show(press, bot, views.no_public_url(t, admin=caller.is_admin))
        return
    await show(press, bot, views.feed(t, link, None), keyboards.feed(t))
    toast.text = views.feed_renewed(t)


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="outgoing")
    made.message.register(export, Command("export", ignore_case=True))
    made.message.register(feed, Command("feed", ignore_case=True))
    made.callback_query.register(export_as, ExportAs.filter())
    made.callback_query.register(new_feed_link, NewFeedLink.filter())
    return made
