"""@bot words in any chat: the person's own posts, offered as messages to send there."""

from contextlib import suppress

from aiogram import Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import (
    InlineQuery,
    InlineQueryResultArticle,
    InlineQueryResultsButton,
    InlineQueryResultUnion,
    InputTextMessageContent,
    LinkPreviewOptions,
)

from bot.i18n import I18n, Texts
from bot.views.posts import find as views
from services.accounts.people import People
from services.library.bot_queries import PostCard
from services.library.search import FoundPage, Search, SearchOffError
from services.library.search_words import SinceError, read_query

#: Telegram takes 50 at most.
OFFERED = 20
#: Seconds for which Telegram caches an inline answer. Short, so that a new post is found.
CACHE_SECONDS = 5
START_PARAMETER = "inline"


async def offer(query: InlineQuery, i18n: I18n, people: People, search: Search) -> None:
    user = await people.known(query.from_user.id, query.from_user.language_code)
    t = i18n.texts(user.language, user.time_zone)
    page = _page_number(query.offset)
    shown = await _found(query.query, user.owner_id, search, page) if user.may_use else FoundPage(())
    # An answer may be too late: the person has typed on.
    with suppress(TelegramBadRequest):
        await query.answer(
            [_card(t, post) for post in shown.posts],
            cache_time=CACHE_SECONDS,
            is_personal=True,
            next_offset=str(page + 1) if shown.has_more else "",
            button=None if shown.posts else _to_private_chat(t, may_use=user.may_use),
        )


async def _found(text: str, user_id: int, search: Search, page: int) -> FoundPage:
    """What cannot be read or searched finds nothing: it may be half typed."""
    try:
        query = read_query(text)
        if query.is_empty:
            return await search.latest(user_id, page, OFFERED)
        return await search.find(user_id, query, page, OFFERED)
    except (SinceError, SearchOffError):
        return FoundPage(())


def _page_number(offset: str) -> int:
    return int(offset) if offset.isascii() and offset.isdigit() and 1 <= len(offset) <= 4 and int(offset) else 1


def _card(t: Texts, post: PostCard) -> InlineQueryResultUnion:
    content = InputTextMessageContent(
        message_text=views.shared(t, post),
        parse_mode="HTML",
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    return InlineQueryResultArticle(
        id=str(post.id),
        title=views.shared_title(post),
        description=views.shared_description(post),
        input_message_content=content,
    )


def _to_private_chat(t: Texts, *, may_use: bool) -> InlineQueryResultsButton:
    words = t.plain("Nothing found · open the bot") if may_use else t.plain("This bot is private · ask for access")
    return InlineQueryResultsButton(text=words, start_parameter=START_PARAMETER)


def router() -> Router:
    made = Router(name="inline")
    made.inline_query.register(offer)
    return made
