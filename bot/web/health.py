"""Liveness and readiness, open to everybody: no names, addresses or words of errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from fastapi import APIRouter, Response

from bot.telegram.health import TelegramState
from bot.web import schemas
from bot.web.schemas import Readiness
from services.tagging.service import TaggingService
from storage.db.engine import Database, is_unavailable
from storage.migration.inspection import is_current

log = structlog.get_logger(__name__)

#: Asked more often, the answer of a moment ago is given again.
FRESH_SECONDS = 1.0
#: A database that takes longer is away.
PATIENCE_SECONDS = 5.0


class Watch:
    """Looks whether the process can do its work, once for all who ask at the same time."""

    def __init__(self, database: Database, tagging: TaggingService, telegram: Callable[[], TelegramState]) -> None:
        self._database = database
        self._tagging = tagging
        self._telegram = telegram
        self._looking = asyncio.Lock()
        self._seen: Readiness | None = None
        self._seen_at = 0.0

    async def look(self) -> Readiness:
        """How things stand now, or stood a second ago."""
        async with self._looking:
            if self._seen is None or time.monotonic() - self._seen_at >= FRESH_SECONDS:
                self._seen = await self._look()
                self._seen_at = time.monotonic()
            return self._seen

    async def _look(self) -> Readiness:
        database, provider = schemas.DatabaseCheck(ok=False, migrated=False), None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                database = schemas.DatabaseCheck(ok=True, migrated=await is_current(self._database))
                if database.migrated:
                    provider = schemas.ProviderCheck.model_validate(await self._tagging.provider_state())
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("readiness_without_database", error=type(error).__name__)
        telegram = self._telegram()
        ready = provider is not None and telegram.state in {"ok", "standby"}
        return Readiness(
            status="ready" if ready else "unready",
            database=database,
            telegram=schemas.TelegramCheck.model_validate(telegram),
            provider=provider,
        )


def router(watch: Watch) -> APIRouter:
    """This topic's paths."""

    async def healthz() -> schemas.Health:
        """Liveness: the event loop answers."""
        return schemas.Health()

    async def readyz(response: Response) -> Readiness:
        """Readiness: the database answers and is migrated, Telegram takes calls. A paused provider is only shown."""
        found = await watch.look()
        response.status_code = 200 if found.status == "ready" else 503
        return found

    made = APIRouter(tags=["health"])
    made.get("/healthz")(healthz)
    made.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready"}})(readyz)
    # Behind GET, which a 405 names as allowed.
    for path, look in (("/healthz", healthz), ("/readyz", readyz)):
        made.head(path, include_in_schema=False)(look)
    return made
