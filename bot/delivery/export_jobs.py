"""Exports that people ask for in chat, made and sent in the background: one at a time for each person."""

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

from bot.delivery.export_files import LARGEST, ExportPart, packed, packed_workbooks
from bot.i18n import Html, I18n, Texts
from bot.telegram.call_retry import TRANSIENT, error_name, retry_call
from bot.views import errors
from bot.views.channels import exports as views
from services.accounts.people import CurrentUser
from services.library.export import Exporter, ExportFormat
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

AT_ONCE = 2
#: One try to send a file, and all its tries.
SEND_SECONDS, SEND_WITHIN = 300, 900
TELL_SECONDS = 3.0


class ExportJobs:
    def __init__(
        self, bot: Bot, exporting: Exporter, i18n: I18n, clock: Callable[[], datetime], *, largest: int = LARGEST
    ) -> None:
        self._bot = bot
        self._exporting = exporting
        self._i18n = i18n
        self._clock = clock
        self._largest = largest
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._is_stopping = False

    def begin(self, user: CurrentUser, chat_id: int, form: ExportFormat) -> bool:
        """Returns False while an export of this user is being made."""
        if user.telegram_id in self._tasks or self._is_stopping:
            return False
        t = self._i18n.texts(user.language, user.time_zone)
        task = asyncio.create_task(self._export(t, user.owner_id, chat_id, form))
        self._tasks[user.telegram_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(user.telegram_id))
        return True

    async def stop(self) -> None:
        """Cancel all exports, and tell the people who wait for them."""
        self._is_stopping = True
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
            parts = await self._packed(user_id, form, Path(folder))
            for number, part in enumerate(parts, 1):
                await self._send(t, chat_id, form, part, number, len(parts))
        log.info("exported", user_id=user_id, posts=sum(part.posts for part in parts), files=len(parts))
        return bool(parts)

    async def _packed(self, user_id: int, form: ExportFormat, folder: Path) -> list[ExportPart]:
        if form is ExportFormat.XLSX:
            async with aclosing(self._exporting.tagged_pages(user_id)) as pages:
                return await packed_workbooks(pages, folder, self._largest)
        async with aclosing(self._exporting.chunks(user_id, form)) as blocks:
            return await packed(blocks, form, folder, self._largest)

    async def _send(
        self, t: Texts, chat_id: int, form: ExportFormat, part: ExportPart, number: int, count: int
    ) -> None:
        which = f"-{number}-of-{count}" if count > 1 else ""
        name = f"metka-{self._clock():%Y-%m-%d}{which}.{form}{part.path.suffix}"
        caption = views.exported(t, part.posts, number, count)
        send = partial(self._bot.send_document, chat_id, caption=caption, request_timeout=SEND_SECONDS)
        async with asyncio.timeout(SEND_WITHIN):
            await retry_call("send_export", lambda: send(FSInputFile(part.path, name)), on=TRANSIENT)

    def _failed(self, t: Texts, error: Exception) -> Html:
        if isinstance(error, TelegramAPIError | TimeoutError):
            log.warning("export_not_sent", error=error_name(error))
            return views.export_not_sent(t)
        if isinstance(error, OSError) or is_unavailable(error):
            log.warning("export_not_made", error=error_name(error))
            return views.export_not_made(t)
        log.error("export_failed", exc_info=error)
        return errors.went_wrong(t)

    async def _tell(self, chat_id: int, text: Html) -> None:
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout(TELL_SECONDS if self._is_stopping else SEND_WITHIN):
                    await retry_call("tell_person", partial(self._bot.send_message, chat_id, text), on=TRANSIENT)
            except TelegramAPIError as error:
                log.warning("cannot_tell", person=chat_id, what="export", error=error_name(error))
