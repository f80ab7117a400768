"""Exports that users have sent: downloaded, imported one after the other, each showing itself in its message.

Driven from the database, so that it goes on after a restart.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
)
from aiohttp import ClientError, ClientResponseError

from bot.i18n import Html, I18n, Texts
from bot.telegram.call_retry import PASSING, insist, is_token_refusal, name_of
from bot.views import imports as views
from services.accounts.people import People
from services.ingest.imports import Import, ImportResult, Imports, ImportTakenError
from services.sources.export.file import ExportError, ExportFile
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

#: A message is edited no more often.
EVERY_SECONDS = 3.0
#: What could not be done for now is tried again after this.
PAUSE_SECONDS = 10.0
#: Fewer than a command's: other work has its turn between them.
PART = 100
DOWNLOAD_SECONDS = 300
#: A file that Telegram answers for, and does not give, is given up after so many rounds.
MOST_TRIES = 60


class DownloadError(Exception):
    """A file could not be downloaded."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(name_of(fault))
        self.fault = fault


class Importer:
    """Does what there is to be imported; without any it asks for nothing."""

    def __init__(self, bot: Bot, imports: Imports, people: People, i18n: I18n) -> None:
        self._bot = bot
        self._imports = imports
        self._people = people
        self._i18n = i18n
        self._event = asyncio.Event()
        self._stopping = asyncio.Event()
        self._not_before = 0.0
        #: By import; of those only that are begun in this process.
        self._tries: Counter[int] = Counter()

    def wake(self) -> None:
        """There is a file."""
        self._event.set()

    def stop(self) -> None:
        """End after the part in work; what is left is gone on with by whoever leads next."""
        self._stopping.set()
        self._event.set()

    async def run(self) -> None:
        """Until `stop`; begins with what an earlier process left undone."""
        while not self._stopping.is_set():
            self._event.clear()
            if await self._round():
                await self._event.wait()
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), PAUSE_SECONDS)

    async def _round(self) -> bool:
        """Import every file; False: not all could be, for now."""
        is_all = True
        try:
            for work in await self._imports.received():
                if self._stopping.is_set():
                    return True
                is_all &= await self._import(work)
        except Exception as error:
            if not _is_passing(error):
                log.exception("imports_failed")
            else:
                # Never its text, which may hold an address with the token.
                log.warning("imports_wait", error=name_of(error))
            return False
        return is_all

    async def _import(self, work: Import) -> bool:
        """False: this one is to be tried again; the next ones need not wait for it."""
        t = self._i18n.texts(await self._people.language_of(work.telegram_id or 0))
        with tempfile.TemporaryDirectory(prefix="metka-import-") as folder:
            path = Path(folder) / "result.json"
            try:
                if await self._unless_stopped(self._download(work, path)):
                    await self._store(work, ExportFile(path, max_delivery=PART), t)
            except DownloadError as error:
                return await self._put_off(work, error.fault, t)
            except Exception as error:
                if _is_passing(error):
                    raise
                log.exception("import_failed", import_id=work.id)
                await self._end(work, views.went_wrong(t), type(error).__name__)
        return True

    async def _download(self, work: Import, path: Path) -> None:
        try:
            file = await self._bot.get_file(work.file_id or "")
            where = file.file_path or ""
            # A Bot API server of one's own in its --local mode names a file on its disk, which may be this one.
            if where.startswith("/") and os.access(where, os.R_OK):
                await asyncio.to_thread(path.symlink_to, where)
            else:
                await self._bot.download_file(where, path, timeout=DOWNLOAD_SECONDS)
        except (TelegramAPIError, ClientError, OSError) as error:
            raise DownloadError(error) from error

    async def _put_off(self, work: Import, fault: Exception, t: Texts) -> bool:
        """What could not be downloaded is tried again (False), or is not: then its sender is told."""
        log.warning("import_not_downloaded", import_id=work.id, error=name_of(fault), status=_status(fault))
        if isinstance(fault, TelegramBadRequest):
            is_big = "too big" in fault.message.lower()
            await self._end(work, self._too_big(work, t) if is_big else views.lost(t), fault.message)
        elif _is_refused(fault) or self._is_tried_out(work, fault):
            await self._end(work, views.lost(t), name_of(fault))
        else:
            return False
        return True

    def _too_big(self, work: Import, t: Texts) -> Html:
        return views.too_big(t, work.telegram_id, admin=self._people.is_admin(work.telegram_id or 0))

    def _is_tried_out(self, work: Import, fault: Exception) -> bool:
        # While Telegram is away, or refuses everything, it says nothing about the file.
        if not isinstance(fault, TelegramNetworkError | TelegramRetryAfter) and not is_token_refusal(fault):
            self._tries[work.id] += 1
        return self._tries[work.id] >= MOST_TRIES

    async def _store(self, work: Import, source: ExportFile, t: Texts) -> None:
        done = work.done
        try:
            async with aclosing(self._imports.steps(work, source)) as steps:
                async for step in steps:
                    done = step
                    if self._stopping.is_set():
                        return
                    await self._show(work, done, t, source)
        except ImportTakenError:
            # By the process that leads now, or there is no such user any more.
            log.info("import_taken", import_id=work.id)
        except ExportError as error:
            await self._end(work, views.failed(t, work, done, error.fault), str(error))
        else:
            await self._end(work, views.finished(t, work, done), None)
            log.info("imported", import_id=work.id, new=done.new, known=done.known, edited=done.edited)

    async def _show(self, work: Import, done: ImportResult, t: Texts, source: ExportFile) -> None:
        """How far it is, now and then; that a message could not be edited is no harm."""
        if time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + EVERY_SECONDS
        try:
            percent = t.percent(min(source.bytes_read, source.size), source.size)
            await self._edit(work, views.progress(t, work, done, percent))
        except TelegramRetryAfter as error:
            self._not_before = time.monotonic() + error.retry_after
        except TelegramAPIError as error:
            log.debug("progress_not_shown", import_id=work.id, error=name_of(error))

    async def _end(self, work: Import, text: Html, error: str | None) -> None:
        """Tell what came of it, and be done with it."""
        if await self._unless_stopped(self._tell(work, text)):
            await self._imports.finish(work, error)
            self._tries.pop(work.id, None)

    async def _tell(self, work: Import, text: Html) -> None:
        try:
            await self._insist(lambda: self._edit(work, text))
        except TelegramBadRequest as error:
            if "not modified" in error.message:
                return
            with suppress(TelegramBadRequest, TelegramForbiddenError):
                await self._insist(lambda: self._bot.send_message(work.chat_id or 0, text))
        except TelegramForbiddenError:
            log.info("blocked_by_person", import_id=work.id)

    async def _insist(self, call: Callable[[], Awaitable[Any]]) -> None:
        await insist("import_result", call, on=PASSING)

    async def _edit(self, work: Import, text: Html) -> None:
        await self._bot.edit_message_text(text, chat_id=work.chat_id, message_id=work.message_id)

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do it, unless `stop` comes before it is done: then False."""
        doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
                return True
            return False
        finally:
            doing.cancel()
            stopping.cancel()
            await asyncio.gather(doing, stopping, return_exceptions=True)


def _is_passing(error: Exception) -> bool:
    return isinstance(error, PASSING) or is_unavailable(error)


def _status(fault: Exception) -> int | None:
    return fault.status if isinstance(fault, ClientResponseError) else None


def _is_refused(fault: Exception) -> bool:
    """Whether the server with the files will not give it later either; 429: not so fast."""
    status = _status(fault)
    return status is not None and 400 <= status < 500 and status != 429
