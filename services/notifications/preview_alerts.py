"""What administrators are told of the public preview: that its form is not known any more, and that it is again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from storage import outbox

PREVIEW = "preview"


class PreviewAlerts:
    """One message when a page cannot be understood, with the channel; none for those that follow; one when all can."""

    def __init__(self, admin_ids: Collection[int]) -> None:
        self._admin_ids = admin_ids

    async def unreadable(self, session: AsyncSession, name: str, now: datetime) -> None:
        """The page of that channel is of another form."""
        if not await outbox.open_topic(session, PREVIEW):
            await outbox.tell_admins(session, self._admin_ids, {"text": "unreadable", "name": name}, now, topic=PREVIEW)

    async def unknown(self, session: AsyncSession, channel_id: int, name: str, count: int, now: datetime) -> None:
        """So many messages of a page are of an unknown kind: told once a channel, until a page has none (0)."""
        topic = f"{PREVIEW}:{channel_id}"
        is_told = bool(await outbox.open_topic(session, topic))
        if count and not is_told:
            payload = {"text": "unreadable", "name": name, "some": count}
            await outbox.tell_admins(session, self._admin_ids, payload, now, topic=topic)
        elif is_told and not count:
            await outbox.close_topic(session, topic, now)

    async def readable(self, session: AsyncSession, now: datetime) -> None:
        """All pages can be understood again: whoever was told is told so."""
        told = await outbox.close_topic(session, PREVIEW, now)
        await outbox.tell_admins(session, told, {"text": "readable"}, now)
