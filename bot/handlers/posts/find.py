"""/find, /latest, related posts, and texts that are no command."""

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message, ReplyParameters

from bot.handlers.replies import chat_of, show
from bot.i18n import Html, Texts
from bot.keyboards.posts import find as keyboards
from bot.keyboards.posts.find import FindPageButton, LatestPageButton, RelatedButton
from bot.telegram.middlewares import Toast
from bot.views.posts import find as views
from services.accounts.people import CurrentUser
from services.library.search import Search, SearchOffError
from services.library.search_words import QUERY_LIMIT, SinceError, read_query
from services.text import storable

Answer = tuple[Html, InlineKeyboardMarkup | None]


async def find(message: Message, command: CommandObject, t: Texts, user: CurrentUser, search: Search) -> None:
    text, markup = await _page(t, user, search, command.args or "", 1)
    await message.answer(text, reply_markup=markup)


async def find_page(
    press: CallbackQuery,
    callback_data: FindPageButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    search: Search,
    toast: Toast,
) -> None:
    pressed = press.message if isinstance(press.message, Message) else None
    query = views.query_of(pressed.text or "") if pressed is not None else None
    if pressed is None or query is None:
        toast.text = t.plain("This list is too old: send the words again.")
        return
    is_of_draft = pressed.reply_to_message is not None
    await show(press, bot, *await _page(t, user, search, query, callback_data.page, with_draft=is_of_draft))


async def _page(
    t: Texts, user: CurrentUser, search: Search, text: str, page: int, *, with_draft: bool = False
) -> Answer:
    text = " ".join(storable(text[:QUERY_LIMIT]).split())
    without_posts = keyboards.tag_draft_only(t) if with_draft else None
    try:
        query = read_query(text)
        if query.is_empty:
            return views.how_to_find(t), without_posts
        shown = await search.find(user.owner_id, query, page)
    except SinceError:
        return views.bad_since(t), without_posts
    except SearchOffError:
        return views.search_off(t), without_posts
    return views.found(t, text, shown), keyboards.found(t, shown, with_draft=with_draft)


async def search_text(message: Message, t: Texts, user: CurrentUser, search: Search) -> None:
    """A text that is no command: searched if it may be a query, and it may be a draft."""
    text = message.text or ""
    if len(text) > QUERY_LIMIT or "\n" in text or not search.enabled:
        answer: Answer = (views.draft(t), keyboards.tag_draft_only(t))
    else:
        answer = await _page(t, user, search, text, 1, with_draft=True)
    # The draft's text is read from the message that is replied to.
    to = ReplyParameters(message_id=message.message_id, allow_sending_without_reply=True)
    await message.answer(answer[0], reply_markup=answer[1], reply_parameters=to)


async def latest(message: Message, t: Texts, user: CurrentUser, search: Search) -> None:
    shown = await search.latest(user.owner_id, 1)
    await message.answer(views.latest(t, shown), reply_markup=keyboards.latest(t, shown))


async def latest_page(
    press: CallbackQuery, callback_data: LatestPageButton, bot: Bot, t: Texts, user: CurrentUser, search: Search
) -> None:
    shown = await search.latest(user.owner_id, callback_data.page)
    await show(press, bot, views.latest(t, shown), keyboards.latest(t, shown))


async def related(
    press: CallbackQuery,
    callback_data: RelatedButton,
    bot: Bot,
    t: Texts,
    user: CurrentUser,
    search: Search,
    toast: Toast,
) -> None:
    try:
        shown = await search.related(callback_data.post, user.scope)
    except SearchOffError:
        toast.text = t.plain("Search is switched off on this bot.")
        return
    if shown is None:
        toast.text = t.plain("You have no such post.")
        return
    text = views.related(t, callback_data.post, shown)
    await bot.send_message(chat_of(press), text, reply_markup=keyboards.found(t, shown))


def router() -> Router:
    made = Router(name="find")
    made.message.register(find, Command("find", ignore_case=True))
    made.message.register(latest, Command("latest", ignore_case=True))
    made.callback_query.register(find_page, FindPageButton.filter())
    made.callback_query.register(latest_page, LatestPageButton.filter())
    made.callback_query.register(related, RelatedButton.filter())
    return made
