"""/watch and /watches, in private chats; /watch in groups, too."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message, TelegramObject

from bot.handlers.replies import show
from bot.i18n import Texts
from bot.keyboards.posts import watch as keyboards
from bot.keyboards.posts.watch import WatchAction, WatchButton, WatchPageButton
from bot.keyboards.tags.tags import TagAction, TagButton
from bot.telegram.middlewares import Toast, is_private
from bot.views import errors
from bot.views.posts import watch as views
from bot.views.tags.tags import problem
from services.accounts.people import CurrentUser
from services.library.search_words import SinceError
from services.library.watch_query import WatchEvery
from services.library.watches import Watches, WatchRefusedError
from services.tags.errors import TagError
from services.tags.vocabulary import Vocabularies


async def tell_refused(
    handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]], event: TelegramObject, data: dict[str, Any]
) -> Any:
    """A middleware: gives group handlers their user, and says why a watch is refused."""
    who = data.get("event_from_user")
    if "user" not in data and who is not None:
        people, i18n = data["people"], data["i18n"]
        data["user"] = await people.known(who.id, who.language_code)
        data["t"] = i18n.texts(data["user"].language)
    try:
        return await handler(event, data)
    except WatchRefusedError as error:
        said = views.refused(data["t"], error.reason)
    except SinceError:
        said = views.refused(data["t"], "since")
    if isinstance(event, Message):
        return await event.answer(said)
    data["toast"].text = said
    return None


async def watch(message: Message, command: CommandObject, t: Texts, user: CurrentUser, watches: Watches) -> None:
    if not user.may_use:
        await message.answer(errors.private_only(t))
        return
    thread = message.message_thread_id if message.is_topic_message else None
    made = await watches.add(user, command.args or "", message.chat.id, thread)
    await message.answer(views.watch(t, made), reply_markup=keyboards.watch(t, made))


async def watch_tag(
    press: CallbackQuery,
    callback_data: TagButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    vocabularies: Vocabularies,
    watches: Watches,
    toast: Toast,
) -> None:
    try:
        card = await vocabularies.tag(user.owner_id, callback_data.tag)
    except TagError as error:
        toast.text = problem(t, error.problem)
        return
    made = await watches.add(user, "#" + "_".join(card.name.split()), user.telegram_id)
    await show(press, bot, views.watch(t, made), keyboards.watch(t, made), here=False)


async def listed(message: Message, t: Texts, user: CurrentUser, watches: Watches) -> None:
    page = await watches.page(user, 1)
    await message.answer(views.watches(t, page), reply_markup=keyboards.watches(page))


async def list_page(
    press: CallbackQuery, callback_data: WatchPageButton, bot: Bot, t: Texts, user: CurrentUser, watches: Watches
) -> None:
    page = await watches.page(user, callback_data.page)
    await show(press, bot, views.watches(t, page), keyboards.watches(page))


async def change(
    press: CallbackQuery, callback_data: WatchButton, bot: Bot, t: Texts, user: CurrentUser, watches: Watches
) -> None:
    action, number = callback_data.action, callback_data.watch
    match action:
        case WatchAction.REMOVE:
            await watches.remove(user, number)
            await show(press, bot, views.removed(t))
            return
        case WatchAction.SHOW:
            changed = await watches.get(user, number)
        case WatchAction.PAUSE | WatchAction.RESUME:
            changed = await watches.pause(user, number, paused=action is WatchAction.PAUSE)
        case _:
            changed = await watches.choose(user, number, WatchEvery(action.value))
    await show(press, bot, views.watch(t, changed), keyboards.watch(t, changed), here=action is not WatchAction.SHOW)


def router() -> Router:
    made = Router(name="watch")
    for observer in (made.message, made.callback_query):
        observer.middleware(tell_refused)
    made.message.register(watch, Command("watch", ignore_case=True))
    made.message.register(listed, Command("watches", ignore_case=True), is_private)
    made.callback_query.register(watch_tag, TagButton.filter(F.action == TagAction.WATCH), is_private)
    made.callback_query.register(change, WatchButton.filter())
    made.callback_query.register(list_page, WatchPageButton.filter(), is_private)
    return made
