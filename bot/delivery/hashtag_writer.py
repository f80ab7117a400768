"""Writes hashtags into channels' messages, at Telegram's pace. What is to be written stands in the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    ChatMemberAdministrator,
    ChatMemberUpdated,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    MessageEntity,
)

from bot.telegram.call_retry import name_of, next_pause
from bot.telegram.rate_limit import Pace
from services.hashtags.service import ChannelHashtags, MessageEdit
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

#: Between two edits in one channel: twenty a minute.
CHAT_SECONDS = 3.0
DATABASE_PAUSE = 5.0
#: A new leader first hears what happened while there was none: for so long at most.
CATCH_UP_SECONDS, CATCH_UP_EVERY = 60.0, 1.0
#: How Telegram says that the bot may not edit in a channel (any more), other than by 403.
RIGHTS = ("not enough rights", "chat_admin_required", "administrator rights", "chat not found", "have no rights")
#: How it says that a message was deleted.
GONE = ("message to edit not found", "message_id_invalid")
#: What is the same for all channels: Telegram asks for a pause, is away, or does not know the bot's token.
FOR_ALL = (TelegramRetryAfter, TelegramNetworkError, TelegramUnauthorizedError, TelegramNotFound)
#: Of a message that Telegram answers with a fault of its own, though it answers else: three minutes or so.
MOST_TRIES = 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """A channel's message that Telegram answered with a fault so often, and the pause after that."""

    post_id: int
    tries: int
    pause: float


class HashtagWriter:
    """Edits what is due, when woken and while there is more; one message a channel at a time."""

    def __init__(
        self, bot: Bot, hashtags: ChannelHashtags, pace: Pace, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take what it works with; `pace` knows of all messages of `bot`."""
        self._bot = bot
        self._hashtags = hashtags
        self._monotonic = monotonic
        self._event = asyncio.Event()
        self._stopping = False
        self._pace = pace
        self._caught_up = False
        self._since = monotonic()
        # Channel → when it may be edited in again; those whose time has come are dropped.
        self._not_before: dict[int, float] = {}
        self._trouble: dict[int, Trouble] = {}
        # After what concerns all channels.
        self._pause = 0.0

    def wake(self) -> None:
        """There may be a message to edit."""
        self._event.set()

    def stop(self) -> None:
        """End after the edit under way, so that what came of it is known."""
        self._stopping = True
        self._event.set()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stopping:
            self._event.clear()
            try:
                pause = await self._round()
            except Exception as error:
                pause = DATABASE_PAUSE
                if is_unavailable(error):
                    log.warning("hashtags_wait_for_database", error=type(error).__name__)
                else:
                    log.exception("hashtags_failed")
            await self._idle(pause)

    async def _idle(self, seconds: float | None) -> None:
        if not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._event.wait(), seconds)

    async def _round(self) -> float | None:
        """Edit what is due; how long until there may be more (None: until somebody says so)."""
        now = self._monotonic()
        self._not_before = {chat: at for chat, at in self._not_before.items() if at > now}
        edits = await self._hashtags.due(self._not_before)
        if edits and not await self._has_caught_up():
            return CATCH_UP_EVERY
        for edit in edits:
            if self._stopping:
                break
            if not await self._write(edit):
                break
        if edits:
            return 0.0
        return min(self._not_before.values()) - now if self._not_before else None

    async def _rest(self, seconds: float) -> None:
        """A pause that no news shorten."""
        end = self._monotonic() + seconds
        while not self._stopping and (left := end - self._monotonic()) > 0:
            self._event.clear()
            await self._idle(left)

    async def _has_caught_up(self) -> bool:
        """Whether we know what people did to the posts meanwhile: an edit of ours would write over theirs."""
        if not self._caught_up:
            try:
                info = await self._bot.get_webhook_info()
            except TelegramAPIError as error:
                # It begins when Telegram can be heard.
                await self._back_off(error)
                self._since = self._monotonic()
                return False
            self._pause = 0.0
            is_late = self._monotonic() - self._since > CATCH_UP_SECONDS
            self._caught_up = is_late or not info.pending_update_count
        return self._caught_up

    async def _write(self, edit: MessageEdit) -> bool:
        """False: nothing can be written now, in whichever channel; there was a pause."""
        await self._pace.turn(None)
        self._not_before[edit.chat_id] = self._monotonic() + CHAT_SECONDS
        try:
            await self._try(edit)
        except FOR_ALL as error:
            await self._back_off(error)
            return False
        except TelegramAPIError as error:
            await self._postpone(edit, error)
        else:
            self._trouble.pop(edit.chat_id, None)
        self._pause = 0.0
        return True

    async def _try(self, edit: MessageEdit) -> None:
        """Written, or refused for good.

        Raises:
            TelegramAPIError: it may be through later.
        """
        try:
            edited_at = await self._edit(edit)
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            lost = await self._is_without_rights(edit.chat_id, error)
            is_gone = any(sign in error.message.lower() for sign in GONE)
            await self._hashtags.refused(edit, error.message, rights_lost=lost, is_gone=is_gone)
        else:
            await self._hashtags.written(edit, edited_at)

    async def _back_off(self, error: TelegramAPIError) -> None:
        self._pause = next_pause(self._pause, error)
        log.warning("hashtags_wait_for_telegram", error=name_of(error), seconds=self._pause)
        await self._rest(self._pause)

    async def _postpone(self, edit: MessageEdit, error: TelegramAPIError) -> None:
        """Leave this channel alone for a while; after many tries, its message for good."""
        last = self._trouble.get(edit.chat_id)
        if last is None or last.post_id != edit.post_id:
            last = Trouble(edit.post_id, 0, 0.0)
        trouble = Trouble(edit.post_id, last.tries + 1, next_pause(last.pause, error))
        if trouble.tries >= MOST_TRIES and await self._is_answering(edit.chat_id):
            self._trouble.pop(edit.chat_id, None)
            await self._hashtags.refused(edit, error.message)
            return
        self._trouble[edit.chat_id] = trouble
        self._not_before[edit.chat_id] = self._monotonic() + max(trouble.pause, CHAT_SECONDS)
        log.warning("hashtags_postponed", channel=edit.chat_id, error=name_of(error), seconds=trouble.pause)

    async def _is_answering(self, chat_id: int) -> bool:
        """Whether Telegram has a fault with one message only, rather than with everything."""
        try:
            await may_edit(self._bot, chat_id)
        except TelegramAPIError:
            return False
        return True

    async def _edit(self, edit: MessageEdit) -> datetime | None:
        """When Telegram says that it was edited; None: it was so already."""
        call = self._edit_caption if edit.original.is_caption else self._edit_text
        try:
            message = await call(edit)
        except TelegramBadRequest as error:
            if "not modified" in error.message:
                return None
            raise
        edited_at = message.edit_date if isinstance(message, Message) else None
        return datetime.fromtimestamp(edited_at, UTC) if edited_at else None

    async def _edit_text(self, edit: MessageEdit) -> Message | bool:
        options = edit.original.options
        preview = options.get("link_preview_options") or {"is_disabled": False}
        return await self._bot.edit_message_text(
            edit.text,
            chat_id=edit.chat_id,
            message_id=edit.message_id,
            entities=_entities(edit),
            parse_mode=None,
            link_preview_options=LinkPreviewOptions.model_validate(preview),
            reply_markup=_markup(options),
        )

    async def _edit_caption(self, edit: MessageEdit) -> Message | bool:
        options = edit.original.options
        return await self._bot.edit_message_caption(
            chat_id=edit.chat_id,
            message_id=edit.message_id,
            caption=edit.text,
            caption_entities=_entities(edit),
            parse_mode=None,
            show_caption_above_media=options.get("show_caption_above_media"),
            reply_markup=_markup(options),
        )

    async def _is_without_rights(self, chat_id: int, error: TelegramAPIError) -> bool:
        """Whether the refusal is the channel's rather than the message's.

        Raises:
            TelegramAPIError: that cannot be found out now.
        """
        words = error.message.lower()
        if isinstance(error, TelegramForbiddenError) or any(sign in words for sign in RIGHTS):
            return True
        # Telegram says the same of a message that nobody may edit, and to a bot without the right.
        return "can't be edited" in words and not await may_edit(self._bot, chat_id)


async def may_edit(bot: Bot, chat_id: int) -> bool | None:
    """Whether the bot may edit a channel's messages; None: Telegram does not say.

    Raises:
        TelegramAPIError: Telegram cannot be asked now.
    """
    try:
        member = await bot.get_chat_member(chat_id, bot.id)
    except (TelegramBadRequest, TelegramForbiddenError):
        return False
    return bool(member.can_edit_messages) if isinstance(member, ChatMemberAdministrator) else False


def can_edit(event: ChatMemberUpdated) -> bool:
    """Whether the bot's new rights let it edit the channel's messages."""
    member = event.new_chat_member
    return isinstance(member, ChatMemberAdministrator) and bool(member.can_edit_messages)


def _entities(edit: MessageEdit) -> list[MessageEntity]:
    return [MessageEntity.model_validate(entity) for entity in edit.original.entities]


def _markup(options: dict[str, Any]) -> InlineKeyboardMarkup | None:
    markup = options.get("reply_markup")
    return InlineKeyboardMarkup.model_validate(markup) if markup else None
