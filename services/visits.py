"""A public channel in the transaction in which an answer about it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.reading import Mark
from services.sources.base import Delivery, SourceChannel
from services.storing import Tally, store_in
from storage import intake, outbox
from storage.models import Channel
from storage.queue import Priority
from storage.source_models import SourceRow
from storage.sources import Follower


class Visit:
    """A channel in the transaction in which an answer about it is stored."""

    def __init__(
        self,
        session: AsyncSession,
        source: SourceRow,
        channel: Channel,
        followers: Sequence[Follower],
        now: datetime,
    ) -> None:
        self.session = session
        self.source = source
        self.followers = followers
        self.now = now
        self._channel = channel

    @property
    def user_ids(self) -> list[int]:
        """Whose posts these become."""
        return [one.follow.user_id for one in self.followers]

    @property
    def mark(self) -> Mark:
        """How far the channel was read."""
        return Mark(self.source.newest_id, self.source.gap_before, self.source.gap_until)

    @mark.setter
    def mark(self, mark: Mark) -> None:
        self.source.newest_id, self.source.gap_before, self.source.gap_until = (
            mark.newest,
            mark.gap_before,
            mark.gap_until,
        )

    async def store(self, one: Follower, delivery: Delivery, work_class: Priority) -> Tally:
        """A delivery's posts, for one of the followers."""
        user_id, channel_id = one.follow.user_id, self.source.channel_id
        return await store_in(self.session, user_id, channel_id, delivery, self.now, work_class=work_class)

    async def take_name(self, channel: SourceChannel) -> None:
        """What the channel is called now; a new public name is told."""
        if channel.title:
            self._channel.channel_title = channel.title
        old, new = self.source.name, channel.username
        if new is None or new.lower() == old.lower():
            return
        self.source.name = new
        if await intake.find_named(self.session, new) is None:
            self._channel.channel_username = new
        for one in self.followers:
            await self.tell(one, {"text": "renamed", "old": old})

    async def tell(self, one: Follower, payload: dict[str, Any]) -> None:
        """News of the channel for a follower; of what they wait for in the message that shows it."""
        about = {"channel": self.source.channel_id, "name": self.source.name, "title": self._channel.channel_title}
        is_awaited = payload["text"] in {"added", "older", "delayed"} or bool(payload.get("first"))
        await outbox.tell_of_channel(
            self.session,
            one.telegram_id,
            {**payload, **about},
            self.now,
            chat_id=one.follow.chat_id if is_awaited else None,
            message_id=one.follow.message_id if is_awaited else None,
        )
