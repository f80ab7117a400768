"""Exports that people ask for in chat: made and sent beside the updates, one at a time for each person."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError
from aiogram.types import FSInputFile

from bot.delivery.export_files import LARGEST, Parcel, packed
from bot.i18n import Html, I18n, Texts
from bot.telegram.call_retry import PASSING, insist, name_of
from bot.views import errors
from bot.views import exports as views
from services.accounts.people import CurrentUser
from services.library.export import Exporter, ExportFormat
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

#: Exports of all people that are made at the same time.
AT_ONCE = 2
#: For one file to be sent, and for all tries to send it.
SEND_SECONDS, SEND_WITHIN = 300, 900
#: At a stop, for telling who waits.
TELL_SECONDS = 3.0


class Exports:
    """Makes the files, sends them, and says it when that fails."""

    def __init__(
        self, bot: Bot, exporting: Exporter, i18n: I18n, clock: Callable[[], datetime], *, largest: int = LARGEST
    ) -> None:
        """`largest`: bytes of a file that Telegram takes."""
        self._bot = bot
        self._exporting = exporting
        self._i18n = i18n
        self._clock = clock
        self._largest = largest
        self._slots = asyncio.Semaphore(AT_ONCE)
        # By person, while theirs is made.
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()

    def begin(self, user: CurrentUser, chat_id: int, form: ExportFormat) -> bool:
        """Say so, make a file of the user's tagged posts, and send it; False: one of theirs is being made."""
        if user.telegram_id in self._tasks or self._stopping.is_set():
            return False
        t = self._i18n.texts(user.language)
        task = asyncio.create_task(self._export(t, user.owner_id, chat_id, form))
        self._tasks[user.telegram_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(user.telegram_id))
        return True

    def stop(self) -> None:
        """Break off what is being made, and say so to whoever waits for it."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`."""
        await self._stopping.wait()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _export(self, t: Texts, user_id: int, chat_id: int, form: ExportFormat) -> None:
        try:
            await self._tell(chat_id, views.export_begun(t))
            async with self._slots:
                sent = await self._make(t, user_id, chat_id, form)
            if not sent:
                await self._tell(chat_id, views.nothing_to_export(t))
        except asyncio.CancelledError:
            await self._tell(chat_id, views.export_broken_off(t))
            raise
        except Exception as error:
            await self._tell(chat_id, self._failed(t, error))

    async def _make(self, t: Texts, user_id: int, chat_id: int, form: ExportFormat) -> bool:
        with TemporaryDirectory(prefix="metka-export-") as folder:
            async with aclosing(self._exporting.chunks(user_id, form)) as chunks:
                parcels = await packed(chunks, form, Path(folder), self._largest)
            for number, parcel in enumerate(parcels, 1):
                await self._send(t, chat_id, form, parcel, number, len(parcels))
        log.info("exported", user_id=user_id, posts=sum(parcel.posts for parcel in parcels), files=len(parcels))
        return bool(parcels)

    async def _send(self, t: Texts, chat_id: int, form: ExportFormat, parcel: Parcel, number: int, count: int) -> None:
        part = f"-{number}-of-{count}" if count > 1 else ""
        name = f"metka-{self._clock():%Y-%m-%d}{part}.{form}{parcel.path.suffix}"
        caption = views.exported(t, parcel.posts, number, count)
        send = partial(self._bot.send_document, chat_id, caption=caption, request_timeout=SEND_SECONDS)
        async with asyncio.timeout(SEND_WITHIN):
            await insist("send_export", lambda: send(FSInputFile(parcel.path, name)), on=PASSING)

    def _failed(self, t: Texts, error: Exception) -> Html:
        if isinstance(error, TelegramAPIError | TimeoutError):
            log.warning("export_not_sent", error=name_of(error))
            return views.export_not_sent(t)
        if isinstance(error, OSError) or is_unavailable(error):
            # The database is away, or there is no room for the file.
            log.warning("export_not_made", error=name_of(error))
            return views.export_not_made(t)
        log.error("export_failed", exc_info=error)
        return errors.went_wrong(t)

    async def _tell(self, chat_id: int, text: Html) -> None:
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout(TELL_SECONDS if self._stopping.is_set() else SEND_WITHIN):
                    await insist("tell_person", partial(self._bot.send_message, chat_id, text), on=PASSING)
            except TelegramAPIError as error:
                log.warning("cannot_tell", person=chat_id, what="export", error=name_of(error))
