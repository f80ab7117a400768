"""Posts that other programs send to the API, each stored once for its user."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from services.clock import Clock
from services.ingest.store import lock_channels, storable_channel, store_in
from services.library.api_queries import UnknownUserError
from services.sources.base import Delivery, SourceChannel, SourcePost
from storage.db.engine import Database
from storage.posts import bulk
from storage.posts import channel_posts as rows
from storage.posts.bulk import StoredText
from storage.reads import lists
from storage.schema.types import as_text, as_whole

Status = Literal["new", "known", "edited"]


@dataclass(frozen=True, slots=True)
class ApiPost:
    channel: SourceChannel
    post: SourcePost


@dataclass(frozen=True, slots=True)
class ApiPostResult:
    """`channel_id`: channels.id."""

    telegram_message_id: int
    channel_id: int
    post_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class ApiPostsResult:
    """Results in the call's order. `queued`: new and edited posts with text, which wait for tags now."""

    posts: list[ApiPostResult]
    new: int
    known: int
    edited: int
    queued: int


class ApiPosts:
    """Stores posts that other programs send. `wake` wakes the worker."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock

    async def store(self, user_id: int, posts: Sequence[ApiPost]) -> ApiPostsResult:
        """Store all posts, or none. Of several with the same message the last counts.

        Raises:
            UnknownUserError: users has no such row.
        """
        async with self._database.write() as session:
            if not await lists.user_exists(session, user_id):
                raise UnknownUserError(user_id)
            result = await self._store(session, user_id, posts, self._clock())
        if result.queued:
            self._wake()
        return result

    async def _store(
        self, session: AsyncSession, user_id: int, posts: Sequence[ApiPost], now: datetime
    ) -> ApiPostsResult:
        posts = [replace(each, channel=storable_channel(each.channel)) for each in posts]
        ids = await _channel_ids(session, [each.channel for each in posts], now)
        by_channel: dict[int, list[ApiPost]] = defaultdict(list)
        for each in posts:
            by_channel[ids[_key(each.channel)]].append(each)
        results: dict[tuple[int, int], ApiPostResult] = {}
        queued = 0
        for channel_id, group in by_channel.items():
            delivery = Delivery(group[0].channel, [each.post for each in group], position=0)
            numbers = sorted({each.post.message_id for each in group})
            before = await bulk.stored_texts(session, user_id, channel_id, numbers)
            queued += (await store_in(session, user_id, channel_id, delivery, now)).queued
            after = await bulk.stored_texts(session, user_id, channel_id, numbers)
            for number, (stored, *_) in after.items():
                status = _status(next(iter(before.get(number, ())), None), stored)
                results[channel_id, number] = ApiPostResult(number, channel_id, stored.id, status)
        listed = [results[ids[_key(each.channel)], each.post.message_id] for each in posts]
        counts = Counter(each.status for each in results.values())
        return ApiPostsResult(listed, counts["new"], counts["known"], counts["edited"], queued)


def _status(before: StoredText | None, after: StoredText) -> Status:
    if before is None:
        return "new"
    return "known" if before.text == after.text else "edited"


_Key = tuple[int | None, str | None]


def _key(channel: SourceChannel) -> _Key:
    return channel.telegram_id, channel.username.lower() if channel.username else None


async def _channel_ids(session: AsyncSession, given: Sequence[SourceChannel], now: datetime) -> dict[_Key, int]:
    """The ids of the channels' rows, which stay locked until the transaction ends."""
    channels = _each_once(given)
    known = await _known(session, channels.values())
    await lock_channels(session, *channels.values(), *known.values())
    # Channels with number and name first: the others are then found by either.
    ordered = sorted(channels.items(), key=lambda item: None in item[0])
    return {
        key: await rows.channel_row(
            session,
            channel.telegram_id,
            username=channel.username,
            title=channel.title or ("" if key in known else channel.username or str(channel.telegram_id)),
            now=now,
        )
        for key, channel in ordered
    }


def _each_once(given: Sequence[SourceChannel]) -> dict[_Key, SourceChannel]:
    """The channels by key, each with its last title that is not empty."""
    found: dict[_Key, SourceChannel] = {}
    for channel in given:
        key = _key(channel)
        if key not in found or channel.title:
            found[key] = channel
    return found


async def _known(session: AsyncSession, channels: Collection[SourceChannel]) -> Mapping[_Key, SourceChannel]:
    """The channels that have a row, with the number and name that stand there."""
    numbers = [channel.telegram_id for channel in channels if channel.telegram_id is not None]
    names = [channel.username for channel in channels if channel.username]
    by_number: dict[int, SourceChannel] = {}
    by_name: dict[str, SourceChannel] = {}
    for number, written in await rows.known_channels(session, numbers, names):
        name = (as_text(written) or "").lstrip("@")
        stored = SourceChannel(rows.full_number(as_whole(number)), name or None, "")
        by_name[name.lower()] = stored
        if stored.telegram_id is not None:
            by_number[stored.telegram_id] = stored
    found = {_key(channel): _match(channel, by_number, by_name) for channel in channels}
    return {key: stored for key, stored in found.items() if stored is not None}


def _match(
    channel: SourceChannel, by_number: Mapping[int, SourceChannel], by_name: Mapping[str, SourceChannel]
) -> SourceChannel | None:
    """By number, else by name, unless the name belongs to a channel of another number."""
    named = by_name.get((channel.username or "").lower())
    if channel.telegram_id is None:
        return named
    is_same = named is not None and named.telegram_id is None
    return by_number.get(channel.telegram_id, named if is_same else None)
