import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.clock import Clock
from services.following.coverage import EVERYTHING
from services.ingest.store import lock_channels
from services.sources.base import SourceChannel
from storage.channels import follows
from storage.db.engine import Database
from storage.posts import channel_posts
from storage.reads import channel_cards
from storage.schema.source_tables import Follow, SourceRow

#: Posts read when a channel is added, and with each press of the button for older ones.
FIRST_POSTS, MORE_POSTS = 50, 200
#: Channels that one user can follow: one request a second is made for all users together.
MOST_CHANNELS = 200
ALL = EVERYTHING
PAGE = 6
LOOK_SECONDS = 0.25
#: Posts deleted in one transaction, so that other writers need not wait for long.
PORTION = 1000


class AddOutcome(StrEnum):
    NEW = "new"
    #: The user follows it already; a pause has ended.
    KNOWN = "known"
    TOO_MANY = "too_many"


class ChannelProblem(StrEnum):
    #: No such channel (any more), a private one, or one without a preview.
    GONE = "gone"
    #: Telegram's pages have changed: Metka needs an update.
    UNREADABLE = "unreadable"
    #: Telegram's server does not answer; the poller tries again.
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class AddResult:
    name: str
    outcome: AddOutcome
    channel_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChannelCard:
    """A channel of a user. `id`: channels.id; `username`: None for a channel without a public name.

    Attributes:
        is_read: the user follows its public preview (/add). Posts of other channels come from the bot in the channel,
            forwards, an import or the parser.
        posts, tagged: the user's posts of the channel, and how many of them have tags.
        older_wanted, older_read: older posts still to be read, and read so far; 0, 0 if none were asked for.
        at_beginning: all older posts were read.
        is_parsed: the parser collects it for the user.
        tells_tagged: whether the user is told of each tagged post; None: they did not add the bot to the channel.
    """

    id: int
    title: str
    username: str | None
    is_read: bool
    is_paused: bool
    posts: int
    tagged: int
    checked_at: datetime | None
    next_check_at: datetime | None
    problem: ChannelProblem | None
    problem_since: datetime | None
    older_wanted: int
    older_read: int
    at_beginning: bool
    is_parsed: bool = False
    tells_tagged: bool | None = None

    @property
    def bot_is_admin(self) -> bool:
        return self.tells_tagged is not None


@dataclass(frozen=True, slots=True)
class ChannelPage:
    """A page of a user's channels, by title; `page` from 1, `pages` at least 1."""

    channels: Sequence[ChannelCard]
    page: int
    pages: int
    total: int


@dataclass(frozen=True, slots=True)
class FetchResult:
    """A channel fetched on demand, and the user's new posts.

    `done`: it was read, or could not be (`problem`); False if that takes longer than the caller waited.
    """

    channel_id: int
    name: str
    posts: int
    done: bool
    problem: ChannelProblem | None


class ChannelService:
    """Use cases on a user's channels. `wake` wakes the poller."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock

    async def add(self, user_id: int, names: Sequence[str], chat_id: int | None) -> list[AddResult]:
        """Follow public channels (names without @): their last FIRST_POSTS posts, and new ones from now on.

        The user is told in `chat_id` when the first posts were read (outbox, kind 'channel').
        """
        return [await self._add(user_id, name, chat_id) for name in names]

    async def _add(self, user_id: int, name: str, chat_id: int | None) -> AddResult:
        now = self._clock()
        async with self._database.write() as session:
            await lock_channels(session, SourceChannel(None, name, ""))
            channel_id = await channel_posts.channel_row(session, None, username=name, title="", now=now)
            source = await self._source(session, channel_id, name, now)
            known = await follows.follow(session, user_id, channel_id)
            if known is None and await follows.count_follows(session, user_id) >= MOST_CHANNELS:
                await follows.drop_unread(session)
                return AddResult(name, AddOutcome.TOO_MANY)
            made = await follows.set_active(session, user_id, channel_id, active=True, now=now)
            _make_due(source, now)
            if known is None:
                values = {"older_wanted": FIRST_POSTS, "chat_id": chat_id, "added_at": now, "made_link": made}
                session.add(Follow(user_id=user_id, channel_id=channel_id, **values))
        return AddResult(name, AddOutcome.NEW if known is None else AddOutcome.KNOWN, channel_id)

    async def _source(self, session: AsyncSession, channel_id: int, name: str, now: datetime) -> SourceRow:
        source = await follows.hold(session, channel_id)
        if source is None:
            source = SourceRow(channel_id=channel_id, name=name, next_check_at=now)
            session.add(source)
            await session.flush()
        return source

    async def attach(self, user_id: int, channel_id: int, chat_id: int, message_id: int) -> bool:
        """Show the progress of first or older posts in this message; False if they are all read."""
        async with self._database.write() as session:
            await follows.hold(session, channel_id)
            follow = await follows.follow(session, user_id, channel_id)
            if follow is None or not (follow.is_new or follow.older_wanted):
                return False
            follow.chat_id, follow.message_id = chat_id, message_id
        return True

    def read_now(self) -> None:
        self._wake()

    async def page(self, user_id: int, page: int) -> ChannelPage:
        """A page of the channels that the user follows or has posts of; the last page for a number beyond it."""
        async with self._database.read() as session:
            rows = await channel_cards.cards(session, user_id)
        pages = max(1, -(-len(rows) // PAGE))
        page = min(max(page, 1), pages)
        shown = rows[(page - 1) * PAGE : page * PAGE]
        return ChannelPage([_card(row) for row in shown], page, pages, len(rows))

    async def card(self, user_id: int, channel_id: int) -> ChannelCard | None:
        async with self._database.read() as session:
            rows = await channel_cards.cards(session, user_id, channel_id)
        return _card(rows[0]) if rows else None

    async def named(self, user_id: int, name: str) -> ChannelCard | None:
        async with self._database.read() as session:
            channel = await channel_posts.find_named(session, name)
        return None if channel is None else await self.card(user_id, channel.id)

    async def pause(self, user_id: int, channel_id: int, *, paused: bool) -> bool:
        """Pause or resume a channel; False if the user does not follow it. Resuming reads what was posted meanwhile."""
        now = self._clock()
        async with self._database.write() as session:
            source = await follows.hold(session, channel_id)
            if source is None or await follows.follow(session, user_id, channel_id) is None:
                return False
            await follows.set_active(session, user_id, channel_id, active=not paused, now=now)
            if not paused:
                _make_due(source, now)
        self._wake()
        return True

    async def tell_tagged(self, user_id: int, channel_id: int, *, on: bool) -> bool:
        """Tell the user of each tagged post of a channel, or no more; False if they did not add the bot there."""
        async with self._database.write() as session:
            rows = await channel_cards.cards(session, user_id, channel_id)
            owner = rows[0].ChannelOwner if rows else None
            if owner is None:
                return False
            owner.tells_tagged = on
        return True

    async def fetch_now(self, user_id: int, channel_id: int, *, wait_seconds: float) -> FetchResult | None:
        """Poll a channel now and wait for the result; None if the user does not follow it, or paused it."""
        return next(iter(await self._fetch(user_id, [channel_id], wait_seconds)), None)

    async def fetch_all(self, user_id: int, *, wait_seconds: float) -> list[FetchResult]:
        async with self._database.read() as session:
            channel_ids = await follows.followed(session, user_id)
        return await self._fetch(user_id, channel_ids, wait_seconds)

    async def _fetch(self, user_id: int, channel_ids: Sequence[int], wait_seconds: float) -> list[FetchResult]:
        since = self._clock()
        async with self._database.read() as session:
            last = await channel_cards.last_post(session)
        due = await self._make_all_due(user_id, channel_ids, since)
        rows = await self._states(due)
        deadline = time.monotonic() + wait_seconds
        while not all(row.next_check_at > since for row in rows) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            rows = await self._states(due)
        async with self._database.read() as session:
            posts = await channel_cards.posts_after(session, user_id, due, last)
        return [_fetch_result(row, posts.get(row.channel_id, 0), since) for row in rows]

    async def _states(self, channel_ids: Sequence[int]) -> Sequence[Any]:
        async with self._database.read() as session:
            return await channel_cards.looks(session, channel_ids)

    async def _make_all_due(self, user_id: int, channel_ids: Sequence[int], now: datetime) -> list[int]:
        async with self._database.write() as session:
            due = await follows.make_due(session, user_id, channel_ids, now)
        self._wake()
        return due

    async def older(self, user_id: int, channel_id: int, count: int) -> bool:
        """Read this many older posts (ALL: all; 0: stop reading them).

        Returns False if the user does not follow the channel, or all older posts were read.
        """
        async with self._database.write() as session:
            await follows.hold(session, channel_id)
            follow = await follows.follow(session, user_id, channel_id)
            if follow is None or (count and follow.at_beginning):
                return False
            follow.older_wanted, follow.older_read = count, 0
            # A user who stops the first posts has all they want.
            follow.is_new = follow.is_new and count > 0
        self._wake()
        return True

    async def remove(self, user_id: int, channel_id: int, *, with_posts: bool) -> bool:
        """Unfollow a channel, and delete its posts if `with_posts`; False if it was not the user's."""
        async with self._database.write() as session:
            await follows.hold(session, channel_id)
            was_followed = await follows.unfollow(session, user_id, channel_id)
        deleted = with_posts and await self._delete_posts(user_id, channel_id)
        return was_followed or deleted

    async def _delete_posts(self, user_id: int, channel_id: int) -> bool:
        last = 0
        while True:
            async with self._database.write() as session:
                ids = await follows.delete_posts(session, user_id, channel_id, after=last, limit=PORTION)
            if not ids:
                return last > 0
            last = ids[-1]
            await asyncio.sleep(0)


def _fetch_result(row: Any, posts: int, since: datetime) -> FetchResult:
    return FetchResult(
        channel_id=row.channel_id,
        name=row.name,
        posts=posts,
        done=row.next_check_at > since,
        problem=ChannelProblem(row.problem) if row.problem else None,
    )


def _make_due(source: SourceRow, now: datetime) -> None:
    """Poll the channel now, even if its page has not changed."""
    source.next_check_at, source.interval_seconds = now, None


def _card(row: Any) -> ChannelCard:
    channel, link, follow, source, owner = row[:5]
    name = str(channel.channel_username or "")
    is_nameless = name == channel_posts.nameless(channel.channel_id or 0)
    reads = follow is not None and source is not None
    return ChannelCard(
        id=channel.id,
        title=channel.channel_title or name,
        username=None if is_nameless else name.lstrip("@") or None,
        is_read=reads,
        is_paused=reads and link is not None and link.is_active is False,
        posts=row.posts,
        tagged=row.posts - row.untagged,
        checked_at=source.checked_at if reads else None,
        next_check_at=source.next_check_at if reads else None,
        problem=ChannelProblem(source.problem) if reads and source.problem else None,
        problem_since=source.problem_since if reads else None,
        older_wanted=follow.older_wanted if reads and not follow.is_new else 0,
        older_read=follow.older_read if reads and not follow.is_new else 0,
        at_beginning=bool(reads and follow.at_beginning),
        is_parsed=not reads and link is not None and link.is_active is not False,
        tells_tagged=None if owner is None else bool(owner.tells_tagged),
    )
