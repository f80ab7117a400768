from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from storage import outbox

PREVIEW = "preview"


class PreviewAlerts:
    """One message about the first page of a channel that cannot be parsed, and one when all can be again."""

    def __init__(self, admin_ids: Collection[int]) -> None:
        self._admin_ids = admin_ids

    async def unreadable(self, session: AsyncSession, name: str, now: datetime) -> None:
        if not await outbox.open_topic(session, PREVIEW):
            await outbox.tell_admins(session, self._admin_ids, {"text": "unreadable", "name": name}, now, topic=PREVIEW)

    async def unknown(self, session: AsyncSession, channel_id: int, name: str, count: int, now: datetime) -> None:
        """A page has `count` messages of an unknown kind: told once per channel, until a page has none."""
        topic = f"{PREVIEW}:{channel_id}"
        is_told = bool(await outbox.open_topic(session, topic))
        if count and not is_told:
            payload = {"text": "unreadable", "name": name, "some": count}
            await outbox.tell_admins(session, self._admin_ids, payload, now, topic=topic)
        elif is_told and not count:
            await outbox.close_topic(session, topic, now)

    async def readable(self, session: AsyncSession, now: datetime) -> None:
        """All pages can be parsed again: tells those who were alerted."""
        told = await outbox.close_topic(session, PREVIEW, now)
        await outbox.tell_admins(session, told, {"text": "readable"}, now)
