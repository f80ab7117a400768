"""/post, /regen, /failed, and the buttons of a post."""

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from bot.handlers.arguments import parse_post_id
from bot.handlers.replies import chat_of, show
from bot.i18n import Texts
from bot.keyboards import posts as keyboards
from bot.keyboards.posts import FailedPageButton, PostAction, PostButton
from bot.telegram.middlewares import Toast
from bot.views import errors
from bot.views import posts as views
from services.accounts.people import CurrentUser
from services.library.bot_queries import BotQueries
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService, Watcher


async def post(message: Message, command: CommandObject, t: Texts, user: CurrentUser, queries: BotQueries) -> None:
    post_id = parse_post_id(command.args)
    if post_id is None:
        await message.answer(views.usage_post(t))
        return
    card = await queries.post(post_id, user_id=user.scope)
    if card is None:
        await message.answer(views.missing(t))
        return
    markup = keyboards.card(t, card, user)
    await message.answer(views.card(t, card), reply_markup=markup)


async def regen(
    message: Message, command: CommandObject, t: Texts, user: CurrentUser, tagging: TaggingService, outbox: Outbox
) -> None:
    post_id = parse_post_id(command.args)
    if post_id is None:
        await message.answer(views.usage_regen(t))
        return
    watcher = Watcher(user.telegram_id, message.chat.id)
    queued = await tagging.update_post_tags(post_id, user_id=user.scope, watcher=watcher)
    if queued is None:
        await message.answer(views.missing(t))
        return
    sent = await message.answer(views.queued(t, post_id, await tagging.provider_state()))
    if queued.outbox_id is not None:
        await outbox.attach(queued.outbox_id, sent.message_id)


async def failed(message: Message, t: Texts, user: CurrentUser, queries: BotQueries) -> None:
    page = await queries.failed(user.owner_id, 1)
    await message.answer(views.failed_page(t, page), reply_markup=keyboards.failed_page(t, page))


async def failed_page(
    press: CallbackQuery, callback_data: FailedPageButton, bot: Bot, t: Texts, user: CurrentUser, queries: BotQueries
) -> None:
    page = await queries.failed(user.owner_id, callback_data.page)
    await show(press, bot, views.failed_page(t, page), keyboards.failed_page(t, page), here=callback_data.here)


async def retry(
    press: CallbackQuery,
    callback_data: PostButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    tagging: TaggingService,
    outbox: Outbox,
    toast: Toast,
) -> None:
    force = callback_data.action is PostAction.FORCE
    if force and not user.is_admin:
        toast.text = errors.admins_only(t)
        return
    watcher = Watcher(user.telegram_id, chat_of(press))
    queued = await tagging.retry_post(callback_data.post, user_id=user.scope, force=force, watcher=watcher)
    if queued is None:
        toast.text = t.plain("There is no such post among yours.")
        return
    text = views.queued(t, queued.post_id, await tagging.provider_state())
    message_id = await show(press, bot, text, here=callback_data.here)
    if queued.outbox_id is not None:
        # Only now: otherwise "queued" could overwrite the outcome.
        await outbox.attach(queued.outbox_id, message_id)


async def details(
    press: CallbackQuery,
    callback_data: PostButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    queries: BotQueries,
    toast: Toast,
) -> None:
    card = await queries.post(callback_data.post, user_id=user.scope)
    if card is None:
        toast.text = t.plain("There is no such post among yours.")
        return
    markup = keyboards.card(t, card, user)
    await show(press, bot, views.card(t, card), markup, here=callback_data.here)


async def skip(
    press: CallbackQuery,
    callback_data: PostButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    tagging: TaggingService,
    queries: BotQueries,
    toast: Toast,
) -> None:
    change = tagging.skip_post if callback_data.action is PostAction.SKIP else tagging.unskip_post
    changed = await change(callback_data.post, user_id=user.scope)
    toast.text = "" if changed else t.plain("Nothing to change.")
    await details(press, callback_data, bot, t, user, queries, toast)


def router() -> Router:
    made = Router(name="posts")
    made.message.register(post, Command("post", ignore_case=True))
    made.message.register(regen, Command("regen", ignore_case=True))
    made.message.register(failed, Command("failed", ignore_case=True))
    made.callback_query.register(failed_page, FailedPageButton.filter())
    made.callback_query.register(retry, PostButton.filter(F.action.in_({PostAction.RETRY, PostAction.FORCE})))
    made.callback_query.register(details, PostButton.filter(F.action == PostAction.DETAILS))
    made.callback_query.register(skip, PostButton.filter(F.action.in_({PostAction.SKIP, PostAction.UNSKIP})))
    return made
