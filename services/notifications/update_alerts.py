from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import structlog

from services.clock import Clock
from storage import outbox
from storage.db.engine import Database, is_unavailable

log = structlog.get_logger(__name__)

TOPIC = "update_fields"
EVERY = timedelta(days=1)


class UpdateAlerts:
    """Tells the administrators once a day which field of Telegram's updates cannot be read."""

    def __init__(
        self, database: Database, admin_ids: Collection[int], clock: Clock, on_told: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._admin_ids = admin_ids
        self._clock = clock
        self._on_told = on_told
        #: Spares the database a look for each of many such updates.
        self._told_at: datetime | None = None

    async def unreadable(self, field: str) -> None:
        now = self._clock()
        if self._told_at is not None and now - self._told_at < EVERY:
            return
        self._told_at = now
        try:
            await self._tell(field, now)
        except Exception as error:
            if not is_unavailable(error):
                raise
            self._told_at = None
            log.warning("alert_not_written", error=type(error).__name__)

    async def _tell(self, field: str, now: datetime) -> None:
        async with self._database.write() as session:
            last = await outbox.last_of_topic(session, TOPIC)
            if last is not None and now - last < EVERY:
                self._told_at = last
                return
            await outbox.tell_admins(session, self._admin_ids, {"text": TOPIC, "field": field}, now, topic=TOPIC)
        self._on_told()
