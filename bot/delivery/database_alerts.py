"""Tells the administrators that the SQLite file cannot be written. Not through the outbox, which is in that file."""

import time
from collections.abc import Collection
from functools import partial

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramAPIError

from bot.i18n import Html, I18n, Texts
from bot.telegram.call_retry import TRANSIENT, retry_call
from bot.views import alerts as views
from services.accounts.people import People
from services.background_task import BackgroundTask
from storage.db.engine import Database, is_unavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 2.0
#: The end is believed after so long: a disk with little room takes small changes and refuses larger ones.
LASTING_SECONDS = 60.0


class DatabaseAlerts(BackgroundTask):
    def __init__(self, bot: Bot, database: Database, admin_ids: Collection[int], people: People, i18n: I18n) -> None:
        super().__init__()
        self._bot = bot
        self._database = database
        self._admin_ids = admin_ids
        self._people = people
        self._i18n = i18n
        self._told = False
        self._failed_at = 0.0

    async def work(self) -> float | None:
        if not self._database.is_sqlite:
            return None
        if fault := self._database.write_fault:
            await self._failing(fault)
        elif self._told and time.monotonic() - self._failed_at >= LASTING_SECONDS:
            self._told = False
            for person in self._admin_ids:
                await self._tell(person, views.database_writable(await self._texts(person)))
        return EVERY_SECONDS

    async def _failing(self, fault: str) -> None:
        self._failed_at = time.monotonic()
        if not self._told:
            self._told = True
            log.error("database_unwritable", error=fault)
            for person in self._admin_ids:
                await self._tell(person, views.database_unwritable(await self._texts(person), fault))
        try:
            await self._database.try_writing()
        except Exception as error:
            if not is_unavailable(error):
                raise

    async def _texts(self, person: int) -> Texts:
        try:
            return self._i18n.texts(await self._people.language_of(person))
        except Exception as error:
            if not is_unavailable(error):
                raise
            return self._i18n.texts(None)

    async def _tell(self, person: int, text: Html) -> None:
        try:
            await retry_call("database_alert", partial(self._bot.send_message, person, text), on=TRANSIENT)
        except TelegramAPIError as error:
            log.warning("cannot_tell", person=person, what="database", error=type(error).__name__)
