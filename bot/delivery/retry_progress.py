"""Shows the progress of each /retry in its message, from the database, so that it survives restarts."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.types import InlineKeyboardMarkup

from bot.i18n import I18n
from bot.keyboards.posts import retry_run as keyboards
from bot.telegram.call_retry import TRANSIENT, next_pause
from bot.views.posts import retry_run as views
from services.accounts.people import People
from services.background_task import BackgroundTask
from services.tagging.service import RetryProgress, TaggingService

EVERY_SECONDS = 2.0
#: A pause of tagging ends the progress if it lasts longer than this, once a /retry force had GRACE_SECONDS to end it.
LASTING = timedelta(seconds=60)
GRACE_SECONDS = 8.0


@dataclass
class Shown:
    """An open run's message. Times are monotonic."""

    since: float
    not_before: float
    text: str = ""


class ProgressMessages(BackgroundTask):
    def __init__(
        self, bot: Bot, tagging: TaggingService, people: People, i18n: I18n, clock: Callable[[], datetime]
    ) -> None:
        super().__init__()
        self._bot = bot
        self._tagging = tagging
        self._people = people
        self._i18n = i18n
        self._clock = clock
        self._shown: dict[int, Shown] = {}

    async def follow(self, batch_id: int | None, chat_id: int, message_id: int) -> None:
        """Show the progress of a retry run in that message, unless tagging is disabled."""
        if batch_id is None:
            return
        if not self._tagging.enabled:
            await self._tagging.close_batch(batch_id)
            return
        await self._tagging.show_progress(batch_id, chat_id, message_id)
        self.wake()

    async def work(self) -> float | None:
        batches = await self._tagging.open_batches()
        open_ids = {batch.batch_id for batch in batches}
        self._shown = {batch_id: shown for batch_id, shown in self._shown.items() if batch_id in open_ids}
        for batch in batches:
            await self._show(batch)
        return EVERY_SECONDS if batches else None

    async def _show(self, batch: RetryProgress) -> None:
        now = time.monotonic()
        # The message has only just been sent: its first edit waits, too.
        shown = self._shown.setdefault(batch.batch_id, Shown(now, now + EVERY_SECONDS))
        if now < shown.not_before:
            return
        paused = now - shown.since >= GRACE_SECONDS and self._is_paused(batch)
        final = batch.finished or batch.stopped or batch.too_long or paused
        t = self._i18n.texts(await self._people.language_of(batch.telegram_id))
        text = views.progress(t, batch, paused=paused)
        if text != shown.text or final:
            shown.not_before = now + EVERY_SECONDS
            try:
                is_gone = not await self._edit(batch, text, None if final else keyboards.stop(t, batch.batch_id))
            except TRANSIENT as error:
                shown.not_before = now + next_pause(EVERY_SECONDS, error)
                return
            final = final or is_gone
            shown.text = text
        if final:
            await self._tagging.close_batch(batch.batch_id)

    def _is_paused(self, batch: RetryProgress) -> bool:
        until = batch.paused_until
        return until is not None and batch.in_work == 0 and until - self._clock() > LASTING

    async def _edit(self, batch: RetryProgress, text: str, markup: InlineKeyboardMarkup | None) -> bool:
        """Returns False if the message cannot be edited any more. Raises TelegramAPIError if it can be edited later."""
        try:
            await self._bot.edit_message_text(
                text, chat_id=batch.chat_id, message_id=batch.message_id, reply_markup=markup
            )
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            return "not modified" in error.message
        return True
