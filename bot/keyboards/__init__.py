"""Buttons: what they carry (checked when it comes back, since anybody can forge it) and how they stand."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import Rows
from bot.keyboards.common import button as _button
from bot.views.common import shorten
from services.hashtags.service import HashtagChannel, HashtagChannels
from services.library.export import Form
from services.library.overview import FailedPage, PostCard

#: PostgreSQL's `integer`, the type of the parser's ids.
MAX_POST_ID = 2**31 - 1
PostId = Annotated[int, Field(ge=1, le=MAX_POST_ID)]


class Action(StrEnum):
    """What a post's button does."""

    RETRY = "retry"
    FORCE = "force"
    DETAILS = "details"
    SKIP = "skip"
    UNSKIP = "unskip"


class PostButton(CallbackData, prefix="post"):
    """Does something with a post; `here`: the message is about this post alone, and shows what came of it."""

    action: Action
    post: PostId
    here: bool


class Retry(CallbackData, prefix="retry"):
    """Retries all of a person's failed posts; `here`: in this message."""

    here: bool


class StopRetry(CallbackData, prefix="stop"):
    """Ends a /retry."""

    batch: Annotated[int, Field(ge=1, le=2**63 - 1)]


class Failed(CallbackData, prefix="failed"):
    """Shows a page of failed posts; `here`: in this message."""

    page: Annotated[int, Field(ge=1, le=1_000_000)]
    here: bool


class Refresh(CallbackData, prefix="stats"):
    """Renews /stats or /stats all."""

    everybody: bool


class AccessRequest(CallbackData, prefix="access"):
    """An administrator's answer to a stranger."""

    person: Annotated[int, Field(ge=1, le=2**53)]
    approve: bool


class TryNow(CallbackData, prefix="try"):
    """Asks the provider again in spite of a pause."""


class Hashtags(CallbackData, prefix="tags"):
    """Switches hashtags in a channel on or off; `sure`: the person has read what will happen."""

    channel: Annotated[int, Field(ge=-(2**53), le=-1)]
    on: bool
    sure: bool


class ExportAs(CallbackData, prefix="export"):
    """Sends one's tagged posts as a file of that kind."""

    form: Form


class NewFeedLink(CallbackData, prefix="feed"):
    """Makes the feed links so far worthless."""


class HashtagUndo(CallbackData, prefix="untag"):
    """Removes a post's hashtags from its channel; `here`: the message is about this post alone."""

    post: PostId
    here: bool


class HashtagList(CallbackData, prefix="tagged"):
    """Back to the channels of /hashtags."""


def _post_button(t: Texts, action: Action, post_id: int) -> InlineKeyboardButton:
    names = {
        Action.RETRY: t.plain("🔁 Retry"),
        Action.FORCE: t.plain("⚡ Force"),
        Action.DETAILS: t.plain("ℹ️ Details"),
        Action.SKIP: t.plain("⏭ Skip"),
        Action.UNSKIP: t.plain("↩️ Undo skip"),
    }
    return _button(names[action], PostButton(action=action, post=post_id, here=True))


def post_actions(card: PostCard, *, details: bool, admin: bool) -> list[Action]:
    """What can be done with a post as it stands, the most likely first."""
    if card.skipped:
        return [Action.UNSKIP]
    if card.status not in {"failed", "retrying"} and not card.error:
        return []
    skip = [Action.SKIP] if card.status != "success" else []
    return [Action.RETRY, *([Action.DETAILS] if details else []), *skip, *([Action.FORCE] if admin else [])]


def post(
    t: Texts, card: PostCard, *, details: bool, admin: bool, viewer: int | None = None
) -> InlineKeyboardMarkup | None:
    """The buttons of a message about one post; `details`: the message does not show them yet.

    `viewer`: who looks at the card; the owner of the channel in which its hashtags stand may remove these.
    """
    buttons = [_post_button(t, action, card.id) for action in post_actions(card, details=details, admin=admin)]
    rows = [buttons[i : i + 2] for i in range(0, len(buttons), 2)]
    if viewer is not None and card.hashtags_of == viewer:
        rows.append([_button(t.plain("↩️ Remove hashtags"), HashtagUndo(post=card.id, here=True))])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def failed_several(t: Texts) -> InlineKeyboardMarkup:
    """Of a notice about several posts."""
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [_button(t.plain("🔁 Retry all"), Retry(here=True))],
            [_button(t.plain("❌ Show failed"), Failed(page=1, here=False))],
        ]
    )


def failed_page(t: Texts, page: FailedPage) -> InlineKeyboardMarkup | None:
    """Of /failed: each post's, then the pages."""
    if not page.posts:
        return None
    rows: Rows = [
        [
            _button(f"🔁 #{card.id}", PostButton(action=Action.RETRY, post=card.id, here=False)),
            _button(f"ℹ️ #{card.id}", PostButton(action=Action.DETAILS, post=card.id, here=False)),
        ]
        for card in page.posts
    ]
    turns = [
        _button(sign, Failed(page=number, here=True))
        for sign, number in (("◀️", page.page - 1), ("▶️", page.page + 1))
        if 1 <= number <= page.pages
    ]
    return InlineKeyboardMarkup(
        inline_keyboard=[
            *rows,
            *([turns] if turns else []),
            [_button(t.plain("🔁 Retry all"), Retry(here=False))],
        ]
    )


def stats(t: Texts, *, everybody: bool, failed: int) -> InlineKeyboardMarkup:
    """Of /stats; an administrator's view of everybody has no buttons that would touch their own posts only."""
    return _stats(t, everybody, failed > 0)


@lru_cache(maxsize=16)
def _stats(t: Texts, everybody: bool, is_any_failed: bool) -> InlineKeyboardMarkup:
    rows: Rows = [[_button(t.plain("🔄 Refresh"), Refresh(everybody=everybody))]]
    if not everybody and is_any_failed:
        rows.append(
            [
                _button(t.plain("🔁 Retry failed"), Retry(here=False)),
                _button(t.plain("❌ Show failed"), Failed(page=1, here=False)),
            ]
        )
    return InlineKeyboardMarkup(inline_keyboard=rows)


def stop(t: Texts, batch_id: int) -> InlineKeyboardMarkup:
    """Of a /retry under way."""
    return InlineKeyboardMarkup(inline_keyboard=[[_button(t.plain("⏹ Stop"), StopRetry(batch=batch_id))]])


def access(t: Texts, person: int) -> InlineKeyboardMarkup:
    """Of a stranger's request."""
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [
                _button(t.plain("✅ Approve"), AccessRequest(person=person, approve=True)),
                _button(t.plain("🚫 Decline"), AccessRequest(person=person, approve=False)),
            ]
        ]
    )


def try_now(t: Texts) -> InlineKeyboardMarkup:
    """Of an alert about a pause."""
    return InlineKeyboardMarkup(inline_keyboard=[[_button(t.plain("🔁 Try now"), TryNow())]])


def hashtags(t: Texts, listed: HashtagChannels) -> InlineKeyboardMarkup | None:
    """Of /hashtags: each channel's switch, and the way back."""
    rows: Rows = [
        [
            _button(
                _hashtag_channel(t, channel),
                Hashtags(channel=channel.id, on=not channel.is_on, sure=channel.is_on),
            )
        ]
        for channel in listed.channels
    ]
    if listed.last_written is not None:
        rows.append([_button(t.plain("↩️ Undo last post"), HashtagUndo(post=listed.last_written, here=False))])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def _hashtag_channel(t: Texts, channel: HashtagChannel) -> str:
    label = f"{'✅' if channel.is_on else '⬜'} {shorten(channel.title, 50)}"
    return f"{label} · {t.plain('⚠️ no right to edit')}" if channel.can_edit is False else label


def hashtags_sure(t: Texts, channel_id: int) -> InlineKeyboardMarkup:
    """Of what is said before hashtags are switched on."""
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [
                _button(t.plain("✅ Switch on"), Hashtags(channel=channel_id, on=True, sure=True)),
                _button(t.plain("Cancel"), HashtagList()),
            ]
        ]
    )


def export(t: Texts) -> InlineKeyboardMarkup:
    """Of /export."""
    names = {Form.CSV: t.plain("📄 CSV"), Form.JSONL: t.plain("🧩 JSON Lines")}
    return InlineKeyboardMarkup(inline_keyboard=[[_button(name, ExportAs(form=form)) for form, name in names.items()]])


def feed(t: Texts) -> InlineKeyboardMarkup:
    """Of /feed."""
    return InlineKeyboardMarkup(inline_keyboard=[[_button(t.plain("🔑 New link"), NewFeedLink())]])
