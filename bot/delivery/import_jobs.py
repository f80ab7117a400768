"""Imports the exports that people sent to the bot. The queue is in the database.

A person's files come one after the other; parts of different people's files take turns.
"""

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path

import structlog
from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
)
from aiogram.types import InlineKeyboardMarkup
from aiohttp import ClientError, ClientResponseError

from bot.i18n import Html, I18n, Texts
from bot.keyboards.channels.imports import personal_chats
from bot.telegram.call_retry import TRANSIENT, error_name, is_token_refusal, retry_call
from bot.views.channels import imports as views
from services.accounts.people import People
from services.background_task import BackgroundTask, unless_set
from services.ingest.imports import Import, ImportResult, Imports, ImportTakenError
from services.sources.export.file import ExportError, ExportFile
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3.0
PAUSE_SECONDS = 10.0
#: Messages in a transaction: fewer than the command's, since other work waits meanwhile.
PART = 100
DOWNLOAD_SECONDS = 300
#: People whose files are imported at the same time, each with up to 20 MB in the temporary folder.
PEOPLE = 4
#: Downloads that fail while Telegram answers.
MOST_TRIES = 60


class DownloadError(Exception):
    def __init__(self, fault: Exception) -> None:
        super().__init__(error_name(fault))
        self.fault = fault


class ImportJobs(BackgroundTask):
    def __init__(self, bot: Bot, imports: Imports, people: People, i18n: I18n) -> None:
        super().__init__()
        self._bot = bot
        self._imports = imports
        self._people = people
        self._i18n = i18n
        self._under_way: dict[int, asyncio.Task[None]] = {}
        #: Import → when it is tried again, or when its progress is shown again. Monotonic.
        self._put_off_until: dict[int, float] = {}
        self._shown_again: dict[int, float] = {}
        # Who waits for it gets it in the order of asking.
        self._turn = asyncio.Lock()
        self._tries: Counter[int] = Counter()

    async def work(self) -> float | None:
        now = time.monotonic()
        self._put_off_until = {each: until for each, until in self._put_off_until.items() if until > now}
        for work in await self._imports.received():
            person = work.telegram_id or 0
            is_free = person not in self._under_way and len(self._under_way) < PEOPLE
            if is_free and work.id not in self._put_off_until and not self.stopping.is_set():
                self._under_way[person] = asyncio.create_task(self._begin(work, person))
        return min(self._put_off_until.values()) - now if self._put_off_until else None

    async def finish(self) -> None:
        await asyncio.gather(*self._under_way.values())

    async def _begin(self, work: Import, person: int) -> None:
        is_done = False
        try:
            is_done = await self._import(work)
        except TRANSIENT as error:
            # Never the text: it may hold the URL, and so the token.
            log.warning("imports_wait", error=error_name(error))
        except Exception as error:
            self.failed(error)
        finally:
            del self._under_way[person]
            self._shown_again.pop(work.id, None)
        if not is_done:
            self._put_off_until[work.id] = time.monotonic() + PAUSE_SECONDS
        self.wake()

    async def _import(self, work: Import) -> bool:
        """Returns False if this one must be tried again; the next ones need not wait for it."""
        t = self._i18n.texts(await self._people.language_of(work.telegram_id or 0))
        with tempfile.TemporaryDirectory(prefix="metka-import-") as folder:
            path = Path(folder) / "result.json"
            try:
                if await unless_set(self.stopping, self._download(work, path)):
                    await self._store(work, ExportFile(path, max_delivery=PART), t)
            except DownloadError as error:
                return await self._put_off(work, error.fault, t)
            except Exception as error:
                if isinstance(error, TRANSIENT) or is_unavailable(error):
                    raise
                log.exception("import_failed", import_id=work.id)
                await self._end(work, views.went_wrong(t), type(error).__name__)
        return True

    async def _download(self, work: Import, path: Path) -> None:
        try:
            file = await self._bot.get_file(work.file_id or "")
            where = file.file_path or ""
            # A Bot API server in --local mode names a file on its disk, which may be this machine's.
            if where.startswith("/") and os.access(where, os.R_OK):
                await asyncio.to_thread(path.symlink_to, where)
            else:
                await self._bot.download_file(where, path, timeout=DOWNLOAD_SECONDS)
        except (TelegramAPIError, ClientError, OSError) as error:
            raise DownloadError(error) from error

    async def _put_off(self, work: Import, fault: Exception, t: Texts) -> bool:
        """Returns False if the download must be tried again."""
        log.warning("import_not_downloaded", import_id=work.id, error=error_name(fault), status=_status(fault))
        if isinstance(fault, TelegramBadRequest):
            is_admin = self._people.is_admin(work.telegram_id or 0)
            too_big = views.too_big(t, work.telegram_id, admin=is_admin)
            text = too_big if "too big" in fault.message.lower() else views.lost(t)
            await self._end(work, text, fault.message)
        elif _is_refused(fault) or self._is_tried_out(work, fault):
            await self._end(work, views.lost(t), error_name(fault))
        else:
            return False
        return True

    def _is_tried_out(self, work: Import, fault: Exception) -> bool:
        # While Telegram is away, or refuses the token, its errors say nothing about the file.
        if not isinstance(fault, TelegramNetworkError | TelegramRetryAfter) and not is_token_refusal(fault):
            self._tries[work.id] += 1
        return self._tries[work.id] >= MOST_TRIES

    async def _store(self, work: Import, source: ExportFile, t: Texts) -> None:
        done = work.done
        try:
            async with aclosing(self._imports.steps(work, source)) as steps:
                while (step := await self._next(steps)) is not None:
                    done = step
                    if self.stopping.is_set():
                        return
                    await self._show(work, done, t, source)
        except ImportTakenError:
            # The new leader imports it, or the user was deleted.
            log.info("import_taken", import_id=work.id)
        except ExportError as error:
            await self._end(work, views.failed(t, work, done, error.fault), str(error), _question(t, work, done))
        else:
            await self._end(work, views.finished(t, work, done), None, _question(t, work, done))
            log.info("imported", import_id=work.id, new=done.new, known=done.known, edited=done.edited)

    async def _next(self, steps: AsyncGenerator[ImportResult]) -> ImportResult | None:
        async with self._turn:
            return await anext(steps, None)

    async def _show(self, work: Import, done: ImportResult, t: Texts, source: ExportFile) -> None:
        """Show the progress every EVERY_SECONDS at most. A failed edit does no harm."""
        if time.monotonic() < self._shown_again.get(work.id, 0.0):
            return
        self._shown_again[work.id] = time.monotonic() + EVERY_SECONDS
        try:
            percent = t.percent(min(source.bytes_read, source.size), source.size)
            await self._edit(work, views.progress(t, work, done, percent))
        except TelegramRetryAfter as error:
            self._shown_again[work.id] = time.monotonic() + error.retry_after
        except TelegramAPIError as error:
            log.debug("progress_not_shown", import_id=work.id, error=error_name(error))

    async def _end(
        self, work: Import, text: Html, error: str | None, markup: InlineKeyboardMarkup | None = None
    ) -> None:
        if await unless_set(self.stopping, self._tell(work, text, markup)):
            await self._imports.finish(work, error)
            self._tries.pop(work.id, None)

    async def _tell(self, work: Import, text: Html, markup: InlineKeyboardMarkup | None) -> None:
        try:
            await retry_call("import_result", lambda: self._edit(work, text, markup), on=TRANSIENT)
        except TelegramBadRequest as error:
            if "not modified" in error.message:
                return
            with suppress(TelegramBadRequest, TelegramForbiddenError):
                send = partial(self._bot.send_message, work.chat_id or 0, text, reply_markup=markup)
                await retry_call("import_result", send, on=TRANSIENT)
        except TelegramForbiddenError:
            log.info("blocked_by_person", import_id=work.id)

    async def _edit(self, work: Import, text: Html, markup: InlineKeyboardMarkup | None = None) -> None:
        await self._bot.edit_message_text(text, chat_id=work.chat_id, message_id=work.message_id, reply_markup=markup)


def _question(t: Texts, work: Import, done: ImportResult) -> InlineKeyboardMarkup | None:
    return personal_chats(t, work.id) if done.held_posts else None


def _status(fault: Exception) -> int | None:
    return fault.status if isinstance(fault, ClientResponseError) else None


def _is_refused(fault: Exception) -> bool:
    """429 only asks for a pause; any other 4xx of the file server is final."""
    status = _status(fault)
    return status is not None and 400 <= status < 500 and status != 429
