from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import PostId, Rows, button
from bot.keyboards.posts.posts import PostAction, PostButton
from services.library.bot_queries import PostCard
from services.library.search import FoundPage

#: Buttons with the numbers of posts in one row.
IN_ROW = 5
MAX_PAGE = 100_000
PageNumber = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class FindPageButton(CallbackData, prefix="find"):
    """Shows another page; what is searched for stands in the message's first line."""

    page: PageNumber


class LatestPageButton(CallbackData, prefix="latest"):
    page: PageNumber


class RelatedButton(CallbackData, prefix="related"):
    """Shows posts that share rare tags with this one."""

    post: PostId


class TagDraftButton(CallbackData, prefix="draft"):
    """Tags the text to which the message replies."""


def found(t: Texts, shown: FoundPage, *, with_draft: bool = False) -> InlineKeyboardMarkup | None:
    return _page(t, shown, FindPageButton, with_draft=with_draft)


def latest(t: Texts, shown: FoundPage) -> InlineKeyboardMarkup | None:
    return _page(t, shown, LatestPageButton)


def _page(
    t: Texts, shown: FoundPage, turn: type[FindPageButton | LatestPageButton], *, with_draft: bool = False
) -> InlineKeyboardMarkup | None:
    numbers = [
        button(f"#{card.id}", PostButton(action=PostAction.DETAILS, post=card.id, here=False)) for card in shown.posts
    ]
    rows: Rows = [numbers[i : i + IN_ROW] for i in range(0, len(numbers), IN_ROW)]
    if turns := _neighbours(shown):
        rows.append([button(sign, turn(page=page)) for sign, page in turns])
    if with_draft:
        rows.append([button(t.plain("🏷 Tag this draft"), TagDraftButton())])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def _neighbours(shown: FoundPage) -> list[tuple[str, int]]:
    back = [("◀️", shown.page - 1)] if shown.page > 1 else []
    return [*back, *([("▶️", shown.page + 1)] if shown.has_more and shown.page < MAX_PAGE else [])]


def with_related(t: Texts, markup: InlineKeyboardMarkup | None, card: PostCard) -> InlineKeyboardMarkup | None:
    """Add Related to a post's keyboard, if it has tags to be related by."""
    if not card.tags:
        return markup
    rows = markup.inline_keyboard if markup is not None else []
    row = [button(t.plain("🔗 Related posts"), RelatedButton(post=card.id))]
    return InlineKeyboardMarkup(inline_keyboard=[*rows, row])


def tag_draft_only(t: Texts) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[button(t.plain("🏷 Tag this draft"), TagDraftButton())]])
