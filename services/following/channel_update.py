"""A public channel in the transaction that stores an answer about it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.ingest.store import StoreResult, storable_channel, store_in
from services.sources.base import Delivery, SourceChannel
from storage import outbox
from storage.channels.follows import Follower
from storage.channels.identity import find_same_channel, has_posts, merge_follows, take_over
from storage.posts import channel_posts
from storage.queue.claim import Priority
from storage.schema.source_tables import SourceRow
from storage.schema.tables import Channel


class ChannelUpdate:
    """A channel's rows, locked until the transaction ends."""

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

    async def store(self, follower: Follower, delivery: Delivery, work_class: Priority) -> StoreResult:
        user_id, channel_id = follower.follow.user_id, self.source.channel_id
        return await store_in(self.session, user_id, channel_id, delivery, self.now, work_class=work_class)

    async def joins_known_channel(self, delivery: Delivery) -> bool:
        """Merge the channel with a row that knows it by another name or by its number; False if there is none.

        Without such a row, stores the channel's present title and name.
        """
        channel = storable_channel(delivery.channel)
        name = channel.username or self.source.name
        holder = await channel_posts.find_named(self.session, name)
        if holder is not None and holder.id != self._channel.id:
            await self._tell_renamed(name)
            await merge_follows(self.session, self._channel.id, holder.id)
            return True
        messages = {post.message_id: post.posted_at for post in delivery.posts}
        number, own = self._channel.channel_id, self._channel.id
        if not await has_posts(self.session, own):
            same = await find_same_channel(self.session, channel.title, messages, besides=own, number=number)
            if same is not None and await take_over(self.session, self._channel, same, name):
                return True
        await self._set_names(channel, name)
        return False

    async def _set_names(self, channel: SourceChannel, name: str) -> None:
        if channel.title:
            self._channel.channel_title = channel.title
        if name.lower() != self.source.name.lower():
            await self._tell_renamed(name)
            self.source.name = self._channel.channel_username = name

    async def _tell_renamed(self, name: str) -> None:
        if name.lower() != self.source.name.lower():
            await self.tell_all({"text": "renamed", "old": self.source.name, "name": name})

    async def tell_all(self, payload: dict[str, Any]) -> None:
        for follower in self.followers:
            await self.tell(follower, payload)

    async def tell(self, follower: Follower, payload: dict[str, Any]) -> None:
        """News that a follower waits for goes into the message that shows progress."""
        about = {"channel": self.source.channel_id, "name": self.source.name, "title": self._channel.channel_title}
        is_awaited = payload["text"] in {"added", "older", "delayed"} or bool(payload.get("first"))
        await outbox.tell_of_channel(
            self.session,
            follower.telegram_id,
            {**about, **payload},
            self.now,
            chat_id=follower.follow.chat_id if is_awaited else None,
            message_id=follower.follow.message_id if is_awaited else None,
        )
