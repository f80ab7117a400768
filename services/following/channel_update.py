"""A public channel in the transaction in which an answer about it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.ingest.store import Tally, storable_channel, store_in
from services.sources.base import Delivery, SourceChannel
from storage import outbox
from storage.channels.follows import Follower
from storage.channels.identity import find_twin, has_posts, join_readings, take_over
from storage.posts import channel_posts
from storage.queue.claim import Priority
from storage.schema.parser_tables import NeutralValues
from storage.schema.source_tables import SourceRow
from storage.schema.tables import Channel


class Visit:
    """A channel in the transaction in which an answer about it is stored."""

    def __init__(
        self,
        session: AsyncSession,
        source: SourceRow,
        channel: Channel,
        followers: Sequence[Follower],
        now: datetime,
        neutral: NeutralValues,
    ) -> None:
        self.session = session
        self.source = source
        self.followers = followers
        self.now = now
        self._channel = channel
        self._neutral = neutral

    async def store(self, one: Follower, delivery: Delivery, work_class: Priority) -> Tally:
        """A delivery's posts, for one of the followers."""
        user_id, channel_id = one.follow.user_id, self.source.channel_id
        return await store_in(
            self.session, user_id, channel_id, delivery, self.now, work_class=work_class, neutral=self._neutral
        )

    async def is_another(self, delivery: Delivery) -> bool:
        """Whether this is a channel that is known already, by another name or its number: it is read as that then."""
        channel = storable_channel(delivery.channel)
        name = channel.username or self.source.name
        holder = await channel_posts.find_named(self.session, name)
        if holder is not None and holder.id != self._channel.id:
            await self._tell_renamed(name)
            await join_readings(self.session, self._channel.id, holder.id)
            return True
        messages = {post.message_id: post.posted_at for post in delivery.posts}
        number, own = self._channel.channel_id, self._channel.id
        if not await has_posts(self.session, own):
            twin = await find_twin(self.session, channel.title, messages, besides=own, number=number)
            if twin is not None and await take_over(self.session, self._channel, twin, name):
                return True
        await self._take_name(channel, name)
        return False

    async def _take_name(self, channel: SourceChannel, name: str) -> None:
        """What the channel is called now; a new public name is told."""
        if channel.title:
            self._channel.channel_title = channel.title
        if name.lower() != self.source.name.lower():
            await self._tell_renamed(name)
            self.source.name = self._channel.channel_username = name

    async def _tell_renamed(self, name: str) -> None:
        if name.lower() != self.source.name.lower():
            await self.tell_all({"text": "renamed", "old": self.source.name, "name": name})

    async def tell_all(self, payload: dict[str, Any]) -> None:
        """News of the channel for everybody who follows it."""
        for one in self.followers:
            await self.tell(one, payload)

    async def tell(self, one: Follower, payload: dict[str, Any]) -> None:
        """News of the channel for a follower; of what they wait for in the message that shows it."""
        about = {"channel": self.source.channel_id, "name": self.source.name, "title": self._channel.channel_title}
        is_awaited = payload["text"] in {"added", "older", "delayed"} or bool(payload.get("first"))
        await outbox.tell_of_channel(
            self.session,
            one.telegram_id,
            {**about, **payload},
            self.now,
            chat_id=one.follow.chat_id if is_awaited else None,
            message_id=one.follow.message_id if is_awaited else None,
        )
