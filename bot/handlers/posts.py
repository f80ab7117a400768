"""/post, /regen, /failed, and the buttons of a post."""

from __future__ import annotations

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from bot import keyboards
from bot.handlers.arguments import parse_post_id
from bot.handlers.replies import chat_of, owner_scope, show
from bot.i18n import Texts
from bot.keyboards import Action, Failed, PostButton
from bot.telegram.middlewares import Toast
from bot.views import help as help_views
from bot.views import posts as views
from services.accounts.people import Caller
from services.library.overview import Overview
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService, Watcher


async def post(message: Message, command: CommandObject, t: Texts, caller: Caller, overview: Overview) -> None:
    """Everything known of one post."""
    post_id = parse_post_id(command.args)
    if post_id is None:
        await message.answer(help_views.usage_post(t))
        return
    card = await overview.post(post_id, user_id=owner_scope(caller))
    if card is None:
        await message.answer(views.missing(t))
        return
    markup = keyboards.post(t, card, details=False, admin=caller.is_admin, viewer=caller.telegram_id)
    await message.answer(views.card(t, card), reply_markup=markup)


async def regen(
    message: Message, command: CommandObject, t: Texts, caller: Caller, tagging: TaggingService, outbox: Outbox
) -> None:
    """New tags for one post, ahead of everything; the answer then shows them."""
    post_id = parse_post_id(command.args)
    if post_id is None:
        await message.answer(help_views.usage_regen(t))
        return
    watcher = Watcher(caller.telegram_id, message.chat.id)
    queued = await tagging.update_post_tags(post_id, user_id=owner_scope(caller), watcher=watcher)
    if queued is None:
        await message.answer(views.missing(t))
        return
    sent = await message.answer(views.queued(t, post_id, await tagging.provider_state()))
    if queued.outbox_id is not None:
        await outbox.attach(queued.outbox_id, sent.message_id)


async def failed(message: Message, t: Texts, caller: Caller, overview: Overview) -> None:
    """One's failed posts."""
    page = await overview.failed(caller.user_id or 0, 1)
    await message.answer(views.failed_page(t, page), reply_markup=keyboards.failed_page(t, page))


async def failed_page(
    press: CallbackQuery, callback_data: Failed, bot: Bot, t: Texts, caller: Caller, overview: Overview
) -> None:
    """Another page of them."""
    page = await overview.failed(caller.user_id or 0, callback_data.page)
    await show(press, bot, views.failed_page(t, page), keyboards.failed_page(t, page), here=callback_data.here)


async def retry(
    press: CallbackQuery,
    callback_data: PostButton,
    bot: Bot,
    t: Texts,
    caller: Caller,
    tagging: TaggingService,
    outbox: Outbox,
    toast: Toast,
) -> None:
    """One more attempt; the message then shows what came of it."""
    force = callback_data.action is Action.FORCE
    if force and not caller.is_admin:
        toast.text = help_views.admins_only(t)
        return
    # The message is attached after it says "queued", so that the result is not written over.
    watcher = Watcher(caller.telegram_id, chat_of(press))
    queued = await tagging.retry_post(callback_data.post, user_id=owner_scope(caller), force=force, watcher=watcher)
    if queued is None:
        toast.text = t.plain("There is no such post among yours.")
        return
    text = views.queued(t, queued.post_id, await tagging.provider_state())
    message_id = await show(press, bot, text, here=callback_data.here)
    if queued.outbox_id is not None:
        await outbox.attach(queued.outbox_id, message_id)


async def details(
    press: CallbackQuery,
    callback_data: PostButton,
    bot: Bot,
    t: Texts,
    caller: Caller,
    overview: Overview,
    toast: Toast,
) -> None:
    """The post's card, with its last requests."""
    await _show_card(press, callback_data, bot, t, caller, overview, toast)


async def skip(
    press: CallbackQuery,
    callback_data: PostButton,
    bot: Bot,
    t: Texts,
    caller: Caller,
    tagging: TaggingService,
    overview: Overview,
    toast: Toast,
) -> None:
    """Leave the post without tags, or take that back."""
    change = tagging.skip_post if callback_data.action is Action.SKIP else tagging.unskip_post
    changed = await change(callback_data.post, user_id=owner_scope(caller))
    toast.text = "" if changed else t.plain("Nothing to change.")
    await _show_card(press, callback_data, bot, t, caller, overview, toast)


async def _show_card(
    press: CallbackQuery,
    data: PostButton,
    bot: Bot,
    t: Texts,
    caller: Caller,
    overview: Overview,
    toast: Toast,
) -> None:
    card = await overview.post(data.post, user_id=owner_scope(caller))
    if card is None:
        toast.text = t.plain("There is no such post among yours.")
        return
    markup = keyboards.post(t, card, details=False, admin=caller.is_admin, viewer=caller.telegram_id)
    await show(press, bot, views.card(t, card), markup, here=data.here)


def router() -> Router:
    """This topic's handlers."""
    made = Router(name="posts")
    made.message.register(post, Command("post", ignore_case=True))
    made.message.register(regen, Command("regen", ignore_case=True))
    made.message.register(failed, Command("failed", ignore_case=True))
    made.callback_query.register(failed_page, Failed.filter())
    made.callback_query.register(retry, PostButton.filter(F.action.in_({Action.RETRY, Action.FORCE})))
    made.callback_query.register(details, PostButton.filter(F.action == Action.DETAILS))
    made.callback_query.register(skip, PostButton.filter(F.action.in_({Action.SKIP, Action.UNSKIP})))
    return made
