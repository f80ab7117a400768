from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.channels.following import follow_button
from bot.keyboards.common import Rows, button
from bot.views.channels.channels import numbered
from bot.views.common import shorten
from services.following.channel_names import is_name
from services.following.service import ChannelCard, ChannelPage
from services.library.cursor import MAX_ID

MAX_PAGE = 1_000_000
#: Of a channel's title on its button, which a phone shows in one line.
TITLE_UNITS = 40

ChannelId = Annotated[int, Field(ge=1, le=MAX_ID)]
PageNumber = Annotated[int, Field(ge=1, le=MAX_PAGE)]
MakeButton = Callable[[str, "ChannelAction"], InlineKeyboardButton]


class ChannelAction(StrEnum):
    CARD = "card"
    PAUSE = "pause"
    RESUME = "resume"
    FETCH = "fetch"
    OLDER = "older"
    ALL_OLDER = "all"
    STOP = "stop"
    #: Asks for confirmation; KEEP and DROP then remove the channel.
    REMOVE = "remove"
    KEEP = "keep"
    DROP = "drop"
    #: Whether the channel's owner is told of each tagged post.
    TELL = "tell"
    HUSH = "hush"


class ChannelButton(CallbackData, prefix="channel"):
    """Acts on a channel; the message then shows its card (`card`) or this page of the list."""

    action: ChannelAction
    channel: ChannelId
    page: PageNumber
    card: bool


class ChannelListButton(CallbackData, prefix="channels"):
    """Shows a page of the user's channels; `here`: in this message."""

    page: PageNumber
    here: bool


def channel_button(words: str, action: ChannelAction, *, channel: int, page: int, card: bool) -> InlineKeyboardButton:
    """`page`, `card`: what the message shows afterwards."""
    return button(words, ChannelButton(action=action, channel=channel, page=page, card=card))


def channels(t: Texts, page: ChannelPage) -> InlineKeyboardMarkup | None:
    if page.total == 1 and page.channels:
        return InlineKeyboardMarkup(inline_keyboard=_in_words(t, page.channels[0], 1, card=False))
    rows = [[_to_card(each, number, page.page)] for number, each in numbered(page)]
    neighbours = [
        button(sign, ChannelListButton(page=number, here=True))
        for sign, number in (("⬅️", page.page - 1), ("➡️", page.page + 1))
        if 1 <= number <= page.pages
    ]
    return InlineKeyboardMarkup(inline_keyboard=[*rows, *([neighbours] if neighbours else [])]) if rows else None


def _to_card(card: ChannelCard, number: int, page: int) -> InlineKeyboardButton:
    words = f"{number}. {shorten(card.title or card.username or '—', TITLE_UNITS)}"
    return channel_button(words, ChannelAction.CARD, channel=card.id, page=page, card=True)


def card(t: Texts, shown: ChannelCard, page: int) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[*_in_words(t, shown, page, card=True), [_back(t, page)]])


def _in_words(t: Texts, shown: ChannelCard, page: int, *, card: bool) -> Rows:
    make = partial(channel_button, channel=shown.id, page=page, card=card)
    remove = make(t.plain("🗑 Remove"), ChannelAction.REMOVE)
    news = [[_news_switch(t, make, on=shown.tells_tagged)]] if shown.tells_tagged is not None else []
    if not shown.is_read:
        # Without posts there is nothing to remove: the channel is listed because the bot is in it.
        removal = [remove] if shown.posts or not shown.bot_is_admin else []
        rest = [*removal, *(follow_button(t, name) for name in _public_name(shown) if not shown.bot_is_admin)]
        return [*news, rest] if rest else news
    # The first fetch must end before older posts are fetched.
    is_new = shown.checked_at is None
    older = [] if is_new else older_posts(t, make, running=shown.older_wanted > 0, at_beginning=shown.at_beginning)
    if shown.is_paused:
        resume = make(t.plain("▶️ Resume"), ChannelAction.RESUME)
        return [[resume, remove], *(older if shown.older_wanted else []), *news]
    pause, fetch = make(t.plain("⏸ Pause"), ChannelAction.PAUSE), make(t.plain("🔄 Fetch now"), ChannelAction.FETCH)
    return [[pause, fetch], *older, *news, [remove]]


def _news_switch(t: Texts, make: MakeButton, *, on: bool) -> InlineKeyboardButton:
    if on:
        return make(t.plain("🔕 Stop telling me of tagged posts"), ChannelAction.HUSH)
    return make(t.plain("🔔 Tell me of each tagged post"), ChannelAction.TELL)


def older_posts(t: Texts, make: MakeButton, *, running: bool, at_beginning: bool) -> Rows:
    if running:
        return [[make(t.plain("⏹ Stop"), ChannelAction.STOP)]]
    if at_beginning:
        return []
    more, everything = t.plain("⏪ 200 older posts"), t.plain("⏮ All older posts")
    return [[make(more, ChannelAction.OLDER), make(everything, ChannelAction.ALL_OLDER)]]


def remove_question(t: Texts, shown: ChannelCard, page: int, *, card: bool) -> InlineKeyboardMarkup:
    """A channel that is not read is listed because of its posts, so it is only removed with them."""
    make = partial(channel_button, channel=shown.id, page=page, card=card)
    rows: Rows = []
    if shown.is_read or not shown.posts:
        words = t.plain("🗑 Remove, keep posts") if shown.posts else t.plain("🗑 Remove")
        rows.append([make(words, ChannelAction.KEEP)])
    if shown.posts:
        rows.append([make(t.plain("❌ Remove with its posts"), ChannelAction.DROP)])
    rows.append([make(t.plain("⬅️ Back"), ChannelAction.CARD) if card else _back(t, page)])
    return InlineKeyboardMarkup(inline_keyboard=rows)


def _back(t: Texts, page: int) -> InlineKeyboardButton:
    return button(t.plain("⬅️ Back"), ChannelListButton(page=page, here=True))


def _public_name(card: ChannelCard) -> list[str]:
    return [card.username] if card.username is not None and is_name(card.username) else []
