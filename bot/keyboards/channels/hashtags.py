from typing import Annotated

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from pydantic import Field

from bot.i18n import Texts
from bot.keyboards.common import PostId, Rows, button
from bot.views.common import shorten
from services.hashtags.service import HashtagChannel, HashtagChannels


class HashtagSwitchButton(CallbackData, prefix="tags"):
    """Switches hashtags in a channel on or off; `sure`: the person has read what will happen."""

    channel: Annotated[int, Field(ge=-(2**53), le=-1)]
    on: bool
    sure: bool


class RemoveHashtagsButton(CallbackData, prefix="untag"):
    """Removes a post's hashtags from its channel; `here`: the message is about this post alone."""

    post: PostId
    here: bool


class HashtagListButton(CallbackData, prefix="tagged"):
    """Shows the channels of /hashtags again."""


def hashtags(t: Texts, listed: HashtagChannels, *, with_undo: bool = True) -> InlineKeyboardMarkup | None:
    rows: Rows = [[_switch(t, channel)] for channel in listed.channels]
    if with_undo and listed.last_written is not None:
        rows.append([button(t.plain("↩️ Undo last post"), RemoveHashtagsButton(post=listed.last_written, here=False))])
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def _switch(t: Texts, channel: HashtagChannel) -> InlineKeyboardButton:
    label = f"{'✅' if channel.is_on else '⬜'} {shorten(channel.title, 50)}"
    if channel.can_edit is False:
        label = f"{label} · {t.plain('⚠️ no right to edit')}"
    # Switching on is confirmed first; switching off is not.
    return button(label, HashtagSwitchButton(channel=channel.id, on=not channel.is_on, sure=channel.is_on))


def confirm(t: Texts, channel_id: int) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        inline_keyboard=[
            [
                button(t.plain("✅ Switch on"), HashtagSwitchButton(channel=channel_id, on=True, sure=True)),
                button(t.plain("Cancel"), HashtagListButton()),
            ]
        ]
    )


def remove_hashtags(t: Texts, post_id: int) -> InlineKeyboardButton:
    return button(t.plain("↩️ Remove hashtags"), RemoveHashtagsButton(post=post_id, here=True))
