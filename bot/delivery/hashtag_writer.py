"""Writes hashtags into channels' messages. The queue of edits is in the database."""

import time
from collections.abc import Callable
from dataclasses import dataclass

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

from bot.delivery.hashtag_edit import edit_message, is_gone, is_without_rights, may_edit
from bot.telegram.call_retry import error_name, next_pause
from services.background_task import BackgroundTask
from services.hashtags.service import ChannelHashtags, MessageEdit

log = structlog.get_logger(__name__)

#: Between two edits in one channel: twenty a minute.
CHAT_SECONDS = 3.0
#: A new leader first handles the updates that waited, for CATCH_UP_SECONDS at most.
CATCH_UP_SECONDS, CATCH_UP_EVERY = 60.0, 1.0
#: Errors that concern all channels: Telegram asks for a pause, is away, or does not know the bot's token.
FOR_ALL = (TelegramRetryAfter, TelegramNetworkError, TelegramUnauthorizedError, TelegramNotFound)
#: Tries of a message that Telegram answers with a server error: some three minutes.
MOST_TRIES = 10


@dataclass(frozen=True, slots=True)
class FailingEdit:
    """Telegram answered this message with a server error `tries` times."""

    post_id: int
    tries: int
    pause: float


class HashtagWriter(BackgroundTask):
    def __init__(self, bot: Bot, hashtags: ChannelHashtags, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._bot = bot
        self._hashtags = hashtags
        self._monotonic = monotonic
        self._caught_up = False
        self._since = monotonic()
        # Channel → when it may be edited in again.
        self._not_before: dict[int, float] = {}
        self._failing: dict[int, FailingEdit] = {}
        self._pause = self._paused_until = 0.0

    async def work(self) -> float | None:
        now = self._monotonic()
        if self._paused_until > now:
            return self._paused_until - now
        self._not_before = {chat: at for chat, at in self._not_before.items() if at > now}
        edits = await self._hashtags.due(self._not_before)
        if not edits:
            return min(self._not_before.values()) - now if self._not_before else None
        if not await self._has_caught_up():
            return CATCH_UP_EVERY
        for edit in edits:
            if self.stopping.is_set() or not await self._write(edit):
                break
        return 0.0

    async def _has_caught_up(self) -> bool:
        """An edit would overwrite what people did to the posts while the bot was away."""
        if not self._caught_up:
            try:
                info = await self._bot.get_webhook_info()
            except TelegramAPIError as error:
                # CATCH_UP_SECONDS count from when Telegram answers.
                self._back_off(error)
                self._since = self._monotonic()
                return False
            self._pause = 0.0
            is_late = self._monotonic() - self._since > CATCH_UP_SECONDS
            self._caught_up = is_late or not info.pending_update_count
        return self._caught_up

    async def _write(self, edit: MessageEdit) -> bool:
        """Returns False if nothing can be written now, in any channel."""
        self._not_before[edit.chat_id] = self._monotonic() + CHAT_SECONDS
        try:
            await self._try(edit)
        except FOR_ALL as error:
            self._back_off(error)
            return False
        except TelegramAPIError as error:
            await self._postpone(edit, error)
        else:
            self._failing.pop(edit.chat_id, None)
        self._pause = 0.0
        return True

    async def _try(self, edit: MessageEdit) -> None:
        """Record that the edit is written, or refused for good. Raises TelegramAPIError if it may be written later."""
        try:
            edited_at = await edit_message(self._bot, edit)
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            lost = await is_without_rights(self._bot, edit.chat_id, error)
            await self._hashtags.refused(edit, error.message, rights_lost=lost, is_gone=is_gone(error))
        else:
            await self._hashtags.written(edit, edited_at)

    def _back_off(self, error: TelegramAPIError) -> None:
        self._pause = next_pause(self._pause, error)
        self._paused_until = self._monotonic() + self._pause
        log.warning("hashtags_wait_for_telegram", error=error_name(error), seconds=self._pause)

    async def _postpone(self, edit: MessageEdit, error: TelegramAPIError) -> None:
        """Leave the channel alone for a while, and its message for good after MOST_TRIES."""
        last = self._failing.get(edit.chat_id)
        if last is None or last.post_id != edit.post_id:
            last = FailingEdit(edit.post_id, 0, 0.0)
        failing = FailingEdit(edit.post_id, last.tries + 1, next_pause(last.pause, error))
        if failing.tries >= MOST_TRIES and await self._is_answering(edit.chat_id):
            self._failing.pop(edit.chat_id, None)
            await self._hashtags.refused(edit, error.message)
            return
        self._failing[edit.chat_id] = failing
        self._not_before[edit.chat_id] = self._monotonic() + max(failing.pause, CHAT_SECONDS)
        log.warning("hashtags_postponed", channel=edit.chat_id, error=error_name(error), seconds=failing.pause)

    async def _is_answering(self, chat_id: int) -> bool:
        """Whether Telegram fails at this message only, rather than at everything."""
        try:
            await may_edit(self._bot, chat_id)
        except TelegramAPIError:
            return False
        return True
