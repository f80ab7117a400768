"""/post, /regen, /failed, and the buttons of a post."""

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message, MessageOriginChannel

from bot.handlers.arguments import parse_post
from bot.handlers.replies import chat_of, show
from bot.i18n import Texts
from bot.keyboards.posts import posts as keyboards
from bot.keyboards.posts.find import with_related
from bot.keyboards.posts.posts import FailedPageButton, PostAction, PostButton
from bot.telegram.middlewares import Toast
from bot.views import errors
from bot.views.posts import posts as views
from services.accounts.people import CurrentUser
from services.library.bot_queries import BotQueries, PostCard
from services.library.message_links import MessageLink
from services.library.search import Search
from services.notifications.outbox import Outbox
from services.tagging.service import TaggingService, Watcher

#: No post has this id.
NO_POST = 0
#: Buttons that ask for tags.
ASKING = {PostAction.RETRY, PostAction.FORCE, PostAction.REGEN}


async def post(
    message: Message, command: CommandObject, t: Texts, user: CurrentUser, queries: BotQueries, search: Search
) -> None:
    post_id = await wanted_post(message, command, user, queries)
    if post_id is None:
        await message.answer(views.usage_post(t))
    else:
        await send_card(post_id, message, t, user, queries, search)


async def wanted_post(message: Message, command: CommandObject, user: CurrentUser, queries: BotQueries) -> int | None:
    """The post named by the command or by the message replied to. NO_POST: a link to a post that is not theirs."""
    named: int | MessageLink | None = parse_post(command.args)
    if not command.args and message.reply_to_message is not None:
        named = post_of(message.reply_to_message)
    if isinstance(named, MessageLink):
        return await queries.linked(named, user.owner_id) or NO_POST
    return named


def post_of(message: Message) -> int | MessageLink | None:
    """The post that a message is about: one of the bot's, or a channel's post that was forwarded to it."""
    origin = message.forward_origin
    if isinstance(origin, MessageOriginChannel):
        return MessageLink(origin.chat.id, origin.message_id)
    return views.post_in(message.text or "") if message.from_user is not None and message.from_user.is_bot else None


async def send_card(
    post_id: int, message: Message, t: Texts, user: CurrentUser, queries: BotQueries, search: Search
) -> None:
    card = await queries.post(post_id, user_id=user.scope)
    if card is None:
        await message.answer(views.missing(t))
        return
    await message.answer(views.card(t, card), reply_markup=card_buttons(t, card, user, search))


def card_buttons(t: Texts, card: PostCard, user: CurrentUser, search: Search) -> InlineKeyboardMarkup | None:
    markup = keyboards.card(t, card, user)
    return with_related(t, markup, card) if search.enabled else markup


async def regen(
    message: Message,
    command: CommandObject,
    t: Texts,
    user: CurrentUser,
    queries: BotQueries,
    tagging: TaggingService,
    outbox: Outbox,
) -> None:
    post_id = await wanted_post(message, command, user, queries)
    if post_id is None:
        await message.answer(views.usage_regen(t))
        return
    watcher = Watcher(user.telegram_id, message.chat.id)
    queued = await tagging.update_post_tags(post_id, user_id=user.scope, watcher=watcher)
    if queued is None:
        await message.answer(views.missing(t))
        return
    sent = await message.answer(views.queued(t, post_id, await tagging.provider_state(), admin=user.is_admin))
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
    if callback_data.action is PostAction.REGEN:
        queued = await tagging.update_post_tags(callback_data.post, user_id=user.scope, watcher=watcher)
    else:
        queued = await tagging.retry_post(callback_data.post, user_id=user.scope, force=force, watcher=watcher)
    if queued is None:
        toast.text = t.plain("You have no such post.")
        return
    text = views.queued(t, queued.post_id, await tagging.provider_state(), admin=user.is_admin)
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
    search: Search,
    toast: Toast,
) -> None:
    card = await queries.post(callback_data.post, user_id=user.scope)
    if card is None:
        toast.text = t.plain("You have no such post.")
        return
    await show(press, bot, views.card(t, card), card_buttons(t, card, user, search), here=callback_data.here)


async def skip(
    press: CallbackQuery,
    callback_data: PostButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    tagging: TaggingService,
    queries: BotQueries,
    search: Search,
    toast: Toast,
) -> None:
    change = tagging.skip_post if callback_data.action is PostAction.SKIP else tagging.unskip_post
    changed = await change(callback_data.post, user_id=user.scope)
    toast.text = "" if changed else t.plain("Nothing to change.")
    await details(press, callback_data, bot, t, user, queries, search, toast)


def router() -> Router:
    made = Router(name="posts")
    made.message.register(post, Command("post", ignore_case=True))
    made.message.register(regen, Command("regen", ignore_case=True))
    made.message.register(failed, Command("failed", ignore_case=True))
    made.callback_query.register(failed_page, FailedPageButton.filter())
    made.callback_query.register(retry, PostButton.filter(F.action.in_(ASKING)))
    made.callback_query.register(details, PostButton.filter(F.action == PostAction.DETAILS))
    made.callback_query.register(skip, PostButton.filter(F.action.in_({PostAction.SKIP, PostAction.UNSKIP})))
    return made
