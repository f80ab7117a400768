"""The progress of every /retry, in its message. Driven from the database, so that it survives restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import InlineKeyboardMarkup

from bot.i18n import I18n
from bot.keyboards import retry as keyboards
from bot.views import retry as views
from services.accounts.people import People
from services.tagging.service import RetryProgress, TaggingService
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 2.0
#: A pause ends the message only if it lasts, and not before a /retry force had time to end it.
LASTING = timedelta(seconds=60)
GRACE_SECONDS = 8.0


class Progress:
    """Edits the messages of the open batches, each at most once in 2 s; without any it asks for nothing."""

    def __init__(
        self, bot: Bot, tagging: TaggingService, people: People, i18n: I18n, clock: Callable[[], datetime]
    ) -> None:
        self._bot = bot
        self._tagging = tagging
        self._people = people
        self._i18n = i18n
        self._clock = clock
        self._event = asyncio.Event()
        self._stopping = asyncio.Event()
        # Of open batches only: when first seen, what was last shown, and not before when to edit again.
        self._first: dict[int, float] = {}
        self._shown: dict[int, str] = {}
        self._not_before: dict[int, float] = {}

    def wake(self) -> None:
        """There may be an open batch."""
        self._event.set()

    async def follow(self, batch_id: int | None, chat_id: int, message_id: int) -> None:
        """Show the progress of a batch in that message; while tagging is disabled there is none to show."""
        if batch_id is None:
            return
        if not self._tagging.enabled:
            await self._tagging.close_batch(batch_id)
            return
        await self._tagging.show_progress(batch_id, chat_id, message_id)
        self.wake()

    def stop(self) -> None:
        """End after what is being shown: a transaction is never cut off."""
        self._stopping.set()
        self._event.set()

    async def run(self) -> None:
        """Until `stop`; begins with what an earlier process left open."""
        while not self._stopping.is_set():
            self._event.clear()
            if not await self._round() and not self._stopping.is_set():
                await self._event.wait()
            # Also before the first edit: the message has just been sent.
            await self._rest(EVERY_SECONDS)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _round(self) -> bool:
        """Show every open batch; whether there are any."""
        try:
            batches = await self._tagging.open_batches()
            self._forget({batch.batch_id for batch in batches})
            for batch in batches:
                await self._show(batch)
        except Exception as error:
            if is_unavailable(error):
                log.warning("progress_waits_for_database", error=type(error).__name__)
            else:
                log.exception("progress_failed")
            return True
        return bool(batches)

    def _forget(self, open_ids: set[int]) -> None:
        for known in (self._first, self._shown, self._not_before):
            for batch_id in known.keys() - open_ids:
                del known[batch_id]

    async def _show(self, batch: RetryProgress) -> None:
        seen_for = time.monotonic() - self._first.setdefault(batch.batch_id, time.monotonic())
        paused = seen_for >= GRACE_SECONDS and self._is_paused(batch)
        final = batch.finished or batch.stopped or batch.too_long or paused
        t = self._i18n.texts(await self._people.language_of(batch.telegram_id))
        text = views.progress(t, batch, paused=paused)
        if text != self._shown.get(batch.batch_id) or final:
            is_over = await self._edit(batch, text, None if final else keyboards.stop(t, batch.batch_id))
            if is_over is None:
                return
            final = final or is_over
            self._shown[batch.batch_id] = text
        if final:
            await self._tagging.close_batch(batch.batch_id)

    def _is_paused(self, batch: RetryProgress) -> bool:
        until = batch.paused_until
        return until is not None and batch.in_work == 0 and until - self._clock() > LASTING

    async def _edit(self, batch: RetryProgress, text: str, markup: InlineKeyboardMarkup | None) -> bool | None:
        """False: shown; True: cannot be shown any more; None: later."""
        if time.monotonic() < self._not_before.get(batch.batch_id, 0.0):
            return None
        try:
            await self._bot.edit_message_text(
                text, chat_id=batch.chat_id, message_id=batch.message_id, reply_markup=markup
            )
        except TelegramRetryAfter as error:
            self._not_before[batch.batch_id] = time.monotonic() + error.retry_after
            return None
        except (TelegramNetworkError, TelegramServerError):
            self._not_before[batch.batch_id] = time.monotonic() + EVERY_SECONDS * 2
            return None
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            return "not modified" not in error.message
        return False
