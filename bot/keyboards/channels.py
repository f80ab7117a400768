"""Buttons of channels: /channels, a channel's card, and the news of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import Rows, button
from services.following.channel_names import is_name
from services.following.service import PAGE, ChannelCard, ChannelPage

#: PostgreSQL's `integer`, the type of the parser's ids.
MAX_CHANNEL_ID = 2**31 - 1
MAX_PAGE = 1_000_000

ChannelId = Annotated[int, Field(ge=1, le=MAX_CHANNEL_ID)]
PageNumber = Annotated[int, Field(ge=1, le=MAX_PAGE)]
#: Makes a button that does this with the channel at hand.
Act = Callable[[str, "ChannelAction"], InlineKeyboardButton]


class ChannelAction(StrEnum):
    """What a channel's button does."""

    CARD = "card"
    PAUSE = "pause"
    RESUME = "resume"
    FETCH = "fetch"
    OLDER = "older"
    ALL_OLDER = "all"
    STOP = "stop"
    #: Asks whether to remove it …
    REMOVE = "remove"
    #: … and these do: its posts stay, or go too.
    KEEP = "keep"
    DROP = "drop"


class ChannelButton(CallbackData, prefix="channel"):
    """Does something with a channel; then the message shows its card, or that page of the list."""

    action: ChannelAction
    channel: ChannelId
    page: PageNumber
    card: bool


class ChannelList(CallbackData, prefix="channels"):
    """Shows a page of one's channels; `here`: in this message."""

    page: PageNumber
    here: bool


class Follow(CallbackData, prefix="follow"):
    """Follows a public channel."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{3,31}$")]


def with_follow(t: Texts, markup: InlineKeyboardMarkup | None, name: str | None) -> InlineKeyboardMarkup | None:
    """These buttons, and under them one that follows that channel, if there is one."""
    if name is None or not is_name(name):
        return markup
    rows = markup.inline_keyboard if markup is not None else []
    return InlineKeyboardMarkup(inline_keyboard=[*rows, [_follow(t, name)]])


def _follow(t: Texts, name: str) -> InlineKeyboardButton:
    return button(t.plain("➕ Follow @{name}", name=name), Follow(name=name))


def channels(t: Texts, page: ChannelPage) -> InlineKeyboardMarkup | None:
    """Of /channels: a row for each channel with its number in the list, or words where there is but one."""
    if page.total == 1 and page.channels:
        return InlineKeyboardMarkup(inline_keyboard=_in_words(t, page.channels[0], 1, card=False))
    rows = [_numbered(each, number, page.page) for number, each in numbered(page)]
    turns = [
        button(sign, ChannelList(page=number, here=True))
        for sign, number in (("⬅️", page.page - 1), ("➡️", page.page + 1))
        if 1 <= number <= page.pages
    ]
    return InlineKeyboardMarkup(inline_keyboard=[*rows, *([turns] if turns else [])]) if rows else None


def numbered(page: ChannelPage) -> list[tuple[int, ChannelCard]]:
    """The page's channels with their numbers in the whole list."""
    return list(enumerate(page.channels, (page.page - 1) * PAGE + 1))


def _numbered(card: ChannelCard, number: int, page: int) -> list[InlineKeyboardButton]:
    act = partial(_act, channel=card.id, page=page, card=False)
    remove = act(f"🗑 {number}", ChannelAction.REMOVE)
    if not card.is_read:
        follows = [button(f"➕ {number}", Follow(name=name)) for name in _name_of(card)]
        return [remove, *follows]
    return [
        act(f"▶️ {number}", ChannelAction.RESUME) if card.is_paused else act(f"⏸ {number}", ChannelAction.PAUSE),
        act(f"🔄 {number}", ChannelAction.FETCH),
        remove,
        act(f"⋯ {number}", ChannelAction.CARD, card=True),
    ]


def card(t: Texts, shown: ChannelCard, page: int) -> InlineKeyboardMarkup:
    """Of a channel's card, which was opened from that page of the list."""
    return InlineKeyboardMarkup(inline_keyboard=[*_in_words(t, shown, page, card=True), [_back(t, page)]])


def _in_words(t: Texts, shown: ChannelCard, page: int, *, card: bool) -> Rows:
    act = partial(_act, channel=shown.id, page=page, card=card)
    remove = act(t.plain("🗑 Remove"), ChannelAction.REMOVE)
    if not shown.is_read:
        return [[remove, *(_follow(t, name) for name in _name_of(shown))]]
    # The first reading is no reading of older posts.
    is_new = shown.checked_at is None
    older = [] if is_new else _older(t, act, running=shown.older_wanted > 0, at_beginning=shown.at_beginning)
    if shown.is_paused:
        return [[act(t.plain("▶️ Resume"), ChannelAction.RESUME), remove], *(older if shown.older_wanted else [])]
    pause, fetch = act(t.plain("⏸ Pause"), ChannelAction.PAUSE), act(t.plain("🔄 Fetch now"), ChannelAction.FETCH)
    return [[pause, fetch], *older, [remove]]


def _older(t: Texts, act: Act, *, running: bool, at_beginning: bool) -> Rows:
    """Reading further back: Stop while it goes on, nothing where there is nothing more."""
    if running:
        return [[act(t.plain("⏹ Stop"), ChannelAction.STOP)]]
    if at_beginning:
        return []
    more, everything = t.plain("⏪ 200 older posts"), t.plain("⏮ All older posts")
    return [[act(more, ChannelAction.OLDER), act(everything, ChannelAction.ALL_OLDER)]]


def question(t: Texts, shown: ChannelCard, page: int, *, card: bool) -> InlineKeyboardMarkup:
    """Of the question whether to remove a channel. One that is not read is there for its posts' sake: they go too."""
    act = partial(_act, channel=shown.id, page=page, card=card)
    rows: Rows = []
    if shown.is_read or not shown.posts:
        words = t.plain("🗑 Remove, keep posts") if shown.posts else t.plain("🗑 Remove")
        rows.append([act(words, ChannelAction.KEEP)])
    if shown.posts:
        rows.append([act(t.plain("❌ Remove with its posts"), ChannelAction.DROP)])
    rows.append([act(t.plain("⬅️ Back"), ChannelAction.CARD) if card else _back(t, page)])
    return InlineKeyboardMarkup(inline_keyboard=rows)


def channel_news(t: Texts, payload: Mapping[str, Any]) -> InlineKeyboardMarkup | None:
    """Of a message of kind 'channel'."""
    channel, kind = payload.get("channel"), payload.get("text")
    if not isinstance(channel, int) or not 1 <= channel <= MAX_CHANNEL_ID:
        return None
    to_list = [button(t.plain("📡 My channels"), ChannelList(page=1, here=False))]
    if kind not in {"added", "older"}:
        return InlineKeyboardMarkup(inline_keyboard=[to_list])
    running = kind == "older" and not payload.get("done")
    act = partial(_act, channel=channel, page=1, card=True)
    rows = _older(t, act, running=running, at_beginning=bool(payload.get("at_beginning")))
    return InlineKeyboardMarkup(inline_keyboard=rows if running else [*rows, to_list])


def _act(words: str, action: ChannelAction, *, channel: int, page: int, card: bool) -> InlineKeyboardButton:
    return button(words, ChannelButton(action=action, channel=channel, page=page, card=card))


def _back(t: Texts, page: int) -> InlineKeyboardButton:
    return button(t.plain("⬅️ Back"), ChannelList(page=page, here=True))


def _name_of(card: ChannelCard) -> list[str]:
    """The name under which it may be followed, if it has one."""
    return [card.username] if card.username is not None and is_name(card.username) else []
