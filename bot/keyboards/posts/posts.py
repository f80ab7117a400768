from enum import StrEnum
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.channels.hashtags import remove_hashtags
from bot.keyboards.common import PostId, Rows, button
from bot.keyboards.posts.retry_run import RetryAllButton
from bot.keyboards.tags.tags import with_tags
from services.accounts.people import CurrentUser
from services.library.bot_queries import FailedPage, PostCard


class PostAction(StrEnum):
    RETRY = "retry"
    FORCE = "force"
    #: New tags for a post that has some.
    REGEN = "regen"
    DETAILS = "details"
    SKIP = "skip"
    UNSKIP = "unskip"


class PostButton(CallbackData, prefix="post"):
    """`here`: the message is about this post alone, and shows the outcome."""

    action: PostAction
    post: PostId
    here: bool


class FailedPageButton(CallbackData, prefix="failed"):
    """`here`: show the page in this message."""

    page: Annotated[int, Field(ge=1, le=1_000_000)]
    here: bool


def post(
    t: Texts, card: PostCard, *, details: bool, admin: bool, viewer: int | None = None
) -> InlineKeyboardMarkup | None:
    """`details`: offer Details. `viewer`: Telegram id; the channel's owner may remove the post's hashtags."""
    buttons = [_post_button(t, action, card.id) for action in _actions(card, details=details, admin=admin)]
    rows = [buttons[i : i + 2] for i in range(0, len(buttons), 2)]
    if viewer is not None and card.hashtags_of == viewer:
        rows.append([remove_hashtags(t, card.id)])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def tagged_post(t: Texts, card: PostCard, viewer: int) -> InlineKeyboardMarkup:
    """For the owner of a channel, who is told of each tagged post; of a failed one as everybody."""
    if card.status != "success" or card.error:
        return post(t, card, details=True, admin=False) or InlineKeyboardMarkup(inline_keyboard=[])
    rows: Rows = [[_post_button(t, action, card.id) for action in (PostAction.REGEN, PostAction.DETAILS)]]
    if card.url and card.url.startswith("https://t.me/"):
        rows.append([InlineKeyboardButton(text=t.plain("Open the post"), url=card.url)])
    if card.hashtags_of == viewer:
        rows.append([remove_hashtags(t, card.id)])
    return InlineKeyboardMarkup(inline_keyboard=rows)


def card(t: Texts, shown: PostCard, viewer: CurrentUser) -> InlineKeyboardMarkup | None:
    """Of a message that shows the whole card."""
    markup = post(t, shown, details=False, admin=viewer.is_admin, viewer=viewer.telegram_id)
    return with_tags(t, markup, shown, viewer.telegram_id, is_card=True)


def _actions(card: PostCard, *, details: bool, admin: bool) -> list[PostAction]:
    if card.skipped:
        return [PostAction.UNSKIP]
    if card.status not in {"failed", "retrying"} and not card.error:
        return []
    skip = [PostAction.SKIP] if card.status != "success" else []
    force = [PostAction.FORCE] if admin else []
    return [PostAction.RETRY, *([PostAction.DETAILS] if details else []), *skip, *force]


def _post_button(t: Texts, action: PostAction, post_id: int) -> InlineKeyboardButton:
    names = {
        PostAction.RETRY: t.plain("🔁 Retry"),
        PostAction.FORCE: t.plain("⚡ Force"),
        PostAction.REGEN: t.plain("🔄 New tags"),
        PostAction.DETAILS: t.plain("ℹ️ Details"),
        PostAction.SKIP: t.plain("⏭ Skip"),
        PostAction.UNSKIP: t.plain("↩️ Undo skip"),
    }
    return button(names[action], PostButton(action=action, post=post_id, here=True))


def failed_several(t: Texts) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [button(t.plain("🔁 Retry all"), RetryAllButton(here=True))],
            [button(t.plain("❌ Show failed"), FailedPageButton(page=1, here=False))],
        ]
    )


def failed_page(t: Texts, page: FailedPage) -> InlineKeyboardMarkup | None:
    if not page.posts:
        return None
    rows: Rows = [
        [
            button(f"🔁 #{card.id}", PostButton(action=PostAction.RETRY, post=card.id, here=False)),
            button(f"ℹ️ #{card.id}", PostButton(action=PostAction.DETAILS, post=card.id, here=False)),
        ]
        for card in page.posts
    ]
    neighbours = [
        button(sign, FailedPageButton(page=number, here=True))
        for sign, number in (("◀️", page.page - 1), ("▶️", page.page + 1))
        if 1 <= number <= page.pages
    ]
    if neighbours:
        rows.append(neighbours)
    rows.append([button(t.plain("🔁 Retry all"), RetryAllButton(here=False))])
    return InlineKeyboardMarkup(inline_keyboard=rows)
