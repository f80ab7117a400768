"""Posts that other programs hand in → posts, each stored once for its user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from services.clock import Clock
from services.ingest.store import storable_channel, store_in, take_turns
from services.library.api_queries import UnknownUserError
from services.sources.base import Delivery, SourceChannel, SourcePost
from storage.db.engine import Database
from storage.posts import bulk
from storage.posts import channel_posts as rows
from storage.posts.bulk import StoredText
from storage.reads import lists
from storage.schema import parser_tables
from storage.schema.tables import Post
from storage.schema.types import as_text, as_whole

Status = Literal["new", "known", "edited"]


@dataclass(frozen=True, slots=True)
class Submission:
    """A post, and the channel it is of; the channel's title may be empty where it is not known."""

    channel: SourceChannel
    post: SourcePost


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one submission. `channel_id`: channels.id."""

    telegram_message_id: int
    channel_id: int
    post_id: int
    status: Status


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a call: of each submission in its order, and how many posts are new, known, changed.

    Attributes:
        queued: of the new and changed ones those with text, which wait for tags now.
    """

    posts: list[Taken]
    new: int
    known: int
    edited: int
    queued: int


class Submissions:
    """Stores what other programs hand in; `wake` tells the worker that there is work."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock

    async def take(self, user_id: int, submissions: Sequence[Submission]) -> Receipt:
        """Store them all, or none. Of several of the same message the last counts.

        Raises:
            UnknownUserError: there is no such row of users.
        """
        async with self._database.write() as session:
            if not await lists.user_exists(session, user_id):
                raise UnknownUserError(user_id)
            receipt = await self._take(session, user_id, submissions, self._clock())
        if receipt.queued:
            self._wake()
        return receipt

    async def _take(
        self, session: AsyncSession, user_id: int, submissions: Sequence[Submission], now: datetime
    ) -> Receipt:
        submissions = [replace(each, channel=storable_channel(each.channel)) for each in submissions]
        ids = await _channel_ids(session, [each.channel for each in submissions], now)
        by_channel: dict[int, list[Submission]] = defaultdict(list)
        for each in submissions:
            by_channel[ids[_key(each.channel)]].append(each)
        neutral = await parser_tables.required_values(session, Post, now=now)
        taken: dict[tuple[int, int], Taken] = {}
        queued = 0
        for channel_id, group in by_channel.items():
            posts = [each.post for each in group]
            numbers = sorted({post.message_id for post in posts})
            before = await bulk.stored_texts(session, user_id, channel_id, numbers)
            delivery = Delivery(group[0].channel, posts, position=0)
            tally = await store_in(session, user_id, channel_id, delivery, now, neutral=neutral)
            queued += tally.tagged_later
            after = await bulk.stored_texts(session, user_id, channel_id, numbers)
            for number, (stored, *_) in after.items():
                status = _status(next(iter(before.get(number, ())), None), stored)
                taken[channel_id, number] = Taken(number, channel_id, stored.id, status)
        listed = [taken[ids[_key(each.channel)], each.post.message_id] for each in submissions]
        statuses = [each.status for each in taken.values()]
        return Receipt(listed, statuses.count("new"), statuses.count("known"), statuses.count("edited"), queued)


def _status(before: StoredText | None, after: StoredText) -> Status:
    if before is None:
        return "new"
    return "known" if before.text == after.text else "edited"


#: Number and name (in lower case) by which a channel is given.
_Key = tuple[int | None, str | None]


def _key(channel: SourceChannel) -> _Key:
    return channel.telegram_id, channel.username.lower() if channel.username else None


async def _channel_ids(session: AsyncSession, given: Sequence[SourceChannel], now: datetime) -> dict[_Key, int]:
    """The ids of the channels' rows; until the transaction ends nobody else stores posts of them."""
    channels = _each_once(given)
    known = await _known(session, channels.values())
    await take_turns(session, *channels.values(), *known.values())
    # Whoever has both names first: the others are found by either then.
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
    """Of several with the same names the last title that is one."""
    found: dict[_Key, SourceChannel] = {}
    for channel in given:
        key = _key(channel)
        if key not in found or channel.title:
            found[key] = channel
    return found


async def _known(session: AsyncSession, channels: Collection[SourceChannel]) -> Mapping[_Key, SourceChannel]:
    """The channels that have a row, by number and name as they stand there: others may know it by the other one."""
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
    """By its number; by its name where that has not passed on from a channel of another number."""
    named = by_name.get((channel.username or "").lower())
    if channel.telegram_id is None:
        return named
    is_same = named is not None and named.telegram_id is None
    return by_number.get(channel.telegram_id, named if is_same else None)
