import asyncio
import time
from collections.abc import Callable

import structlog

from bot.telegram.health import TelegramState
from bot.web.schemas import DatabaseCheck, ProviderCheck, Readiness, TelegramCheck
from services.tagging.service import TaggingService
from storage.db.engine import Database, is_unavailable, unavailable_reason
from storage.migration.inspection import is_current

log = structlog.get_logger(__name__)

#: /readyz has no rate limit, so a result is reused for this long.
FRESH_SECONDS = 1.0
DATABASE_TIMEOUT_SECONDS = 5.0


class ReadinessCheck:
    """For /readyz. Callers at the same time share one check."""

    def __init__(self, database: Database, tagging: TaggingService, telegram: Callable[[], TelegramState]) -> None:
        self._database = database
        self._tagging = tagging
        self._telegram = telegram
        self._lock = asyncio.Lock()
        self._last: Readiness | None = None
        self._checked_at = 0.0

    async def check(self) -> Readiness:
        """The result is at most FRESH_SECONDS old."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._checked_at >= FRESH_SECONDS:
                self._last = await self._check()
                self._checked_at = time.monotonic()
            return self._last

    async def _check(self) -> Readiness:
        database, provider = DatabaseCheck(ok=False, migrated=False), None
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_SECONDS):
                database = DatabaseCheck(ok=True, migrated=await is_current(self._database))
                if database.migrated:
                    provider = ProviderCheck.model_validate(await self._tagging.provider_state())
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("readiness_without_database", error=unavailable_reason(error))
        if self._database.write_fault:
            database = DatabaseCheck(ok=False, migrated=database.migrated)
        telegram = self._telegram()
        ready = database.ok and provider is not None and telegram.state in {"ok", "standby"}
        return Readiness(
            status="ready" if ready else "unready",
            database=database,
            telegram=TelegramCheck.model_validate(telegram),
            provider=provider,
        )
