"""What people do with public channels: add, look, pause, fetch now, read further back, remove."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.clock import Clock
from services.following import schedule
from services.ingest.store import take_turns
from services.sources.base import SourceChannel
from storage.channels import follows
from storage.db.engine import Database
from storage.posts import channel_posts
from storage.reads import channel_cards
from storage.schema.source_tables import Follow, SourceRow

#: Posts that are read when a channel is added, and with each press of the button for more.
FIRST_POSTS, MORE_POSTS = 50, 200
#: Channels of one user that are read at most: with one request a second none then waits for long.
MOST_CHANNELS = 200
#: `Channels.older`: all that there is.
ALL = schedule.EVERYTHING
PAGE = 6
#: How often is looked whether a channel has been read, by who waits for that.
LOOK_SECONDS = 0.25
#: Posts that are deleted in one transaction.
PORTION = 1000


class Added(StrEnum):
    """What came of the wish to follow a channel."""

    NEW = "new"
    #: It was followed already (resumed, if it was paused).
    KNOWN = "known"
    #: The user has MOST_CHANNELS.
    TOO_MANY = "too_many"


class Problem(StrEnum):
    """Why a channel cannot be read at the moment."""

    #: No such channel (any more), a private one, or one without a preview.
    GONE = "gone"
    #: Telegram's page has changed: Metka needs an update.
    UNREADABLE = "unreadable"
    #: Telegram's server does not answer; it is tried again.
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Addition:
    """What came of one name."""

    name: str
    outcome: Added
    channel_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChannelCard:
    """A channel of a user's.

    Attributes:
        id: channels.id.
        username: None for a channel without a public name.
        is_read: Metka reads its public preview for this user (added by /add); otherwise its posts come by other
            ways: the bot is in it, forwards, an import, the parser.
        is_paused: not read at the moment, because the user wants it so.
        posts, tagged: how many posts the user has of it, and how many of these have tags.
        checked_at: when it was last read; next_check_at: when it will be.
        older_wanted, older_read: posts of the past that are being read, and how many of them were; 0, 0: none.
        at_beginning: nothing older is left to be read.
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
    problem: Problem | None
    problem_since: datetime | None
    older_wanted: int
    older_read: int
    at_beginning: bool


@dataclass(frozen=True, slots=True)
class ChannelPage:
    """A page of a user's channels, by title; `page` from 1, `pages` at least 1."""

    channels: Sequence[ChannelCard]
    page: int
    pages: int
    total: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A channel that was to be read at once. `posts`: how many new ones came of it for the user; `done`: it was read,
    or could not be (`problem`)."""

    channel_id: int
    name: str
    posts: int
    done: bool
    problem: Problem | None


class Channels:
    """Use cases on a user's channels. `wake`: some channel is to be read now."""

    def __init__(self, database: Database, wake: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock

    async def add(self, user_id: int, names: Sequence[str], chat_id: int | None) -> list[Addition]:
        """Follow public channels: read now, the last FIRST_POSTS of each, and from then on what is new.

        What came of each first reading is told in `chat_id` (outbox, kind 'channel').

        Args:
            names: public names without @, as `services.following.channel_names.channel_names` finds them.
        """
        return [await self._add(user_id, name, chat_id) for name in names]

    async def _add(self, user_id: int, name: str, chat_id: int | None) -> Addition:
        now = self._clock()
        async with self._database.write() as session:
            await take_turns(session, SourceChannel(None, name, ""))
            channel_id = await channel_posts.channel_row(session, None, username=name, title="", now=now)
            source = await self._source(session, channel_id, name, now)
            known = await follows.follow(session, user_id, channel_id)
            if known is None and await follows.count_follows(session, user_id) >= MOST_CHANNELS:
                await follows.drop_unread(session)
                return Addition(name, Added.TOO_MANY)
            made = await follows.set_active(session, user_id, channel_id, active=True, now=now)
            _ask_for(source, now)
            if known is None:
                wish = {"older_wanted": FIRST_POSTS, "chat_id": chat_id, "added_at": now, "made_link": made}
                session.add(Follow(user_id=user_id, channel_id=channel_id, **wish))
        return Addition(name, Added.NEW if known is None else Added.KNOWN, channel_id)

    async def _source(self, session: AsyncSession, channel_id: int, name: str, now: datetime) -> SourceRow:
        source = await follows.hold(session, channel_id)
        if source is None:
            source = SourceRow(channel_id=channel_id, name=name, next_check_at=now)
            session.add(source)
            await session.flush()
        return source

    async def attach(self, user_id: int, channel_id: int, chat_id: int, message_id: int) -> bool:
        """This message is to show how far the first reading, or that of older posts, is; False: that is over."""
        async with self._database.write() as session:
            await follows.hold(session, channel_id)
            follow = await follows.follow(session, user_id, channel_id)
            if follow is None or not (follow.is_new or follow.older_wanted):
                return False
            follow.chat_id, follow.message_id = chat_id, message_id
        return True

    def read_now(self) -> None:
        """Look at once for what `add` has made due: its messages are attached."""
        self._wake()

    async def page(self, user_id: int, page: int) -> ChannelPage:
        """The user's channels: those followed, and those they have posts of. Beyond the last page: the last."""
        async with self._database.read() as session:
            rows = await channel_cards.cards(session, user_id)
        pages = max(1, -(-len(rows) // PAGE))
        page = min(max(page, 1), pages)
        shown = rows[(page - 1) * PAGE : page * PAGE]
        return ChannelPage([_card(row) for row in shown], page, pages, len(rows))

    async def card(self, user_id: int, channel_id: int) -> ChannelCard | None:
        """One of them; None: not the user's."""
        async with self._database.read() as session:
            rows = await channel_cards.cards(session, user_id, channel_id)
        return _card(rows[0]) if rows else None

    async def named(self, user_id: int, name: str) -> ChannelCard | None:
        """The one of that public name; None: not the user's."""
        async with self._database.read() as session:
            channel = await channel_posts.find_named(session, name)
        return None if channel is None else await self.card(user_id, channel.id)

    async def pause(self, user_id: int, channel_id: int, *, paused: bool) -> bool:
        """Do not read the channel for this user, or do so again; False: it is not followed.

        What was posted meanwhile is read then.
        """
        now = self._clock()
        async with self._database.write() as session:
            source = await follows.hold(session, channel_id)
            if source is None or await follows.follow(session, user_id, channel_id) is None:
                return False
            await follows.set_active(session, user_id, channel_id, active=not paused, now=now)
            if not paused:
                _ask_for(source, now)
        self._wake()
        return True

    async def fetch_now(self, user_id: int, channel_id: int, *, wait_seconds: float) -> Parsed | None:
        """Read it as soon as possible, and what came of it within that time; None: it is not followed, or paused."""
        return next(iter(await self._fetch(user_id, [channel_id], wait_seconds)), None)

    async def fetch_all(self, user_id: int, *, wait_seconds: float) -> list[Parsed]:
        """Read all that the user follows as soon as possible; what came of it within that time."""
        async with self._database.read() as session:
            channel_ids = await follows.followed(session, user_id)
        return await self._fetch(user_id, channel_ids, wait_seconds)

    async def _fetch(self, user_id: int, channel_ids: Sequence[int], wait_seconds: float) -> list[Parsed]:
        since = self._clock()
        async with self._database.read() as session:
            last = await channel_cards.last_post(session)
        due = await self._make_due(user_id, channel_ids, since)
        rows = await self._looks(due)
        deadline = time.monotonic() + wait_seconds
        while not all(row.next_check_at > since for row in rows) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            rows = await self._looks(due)
        async with self._database.read() as session:
            posts = await channel_cards.posts_after(session, user_id, due, last)
        return [_parsed(row, posts.get(row.channel_id, 0), since) for row in rows]

    async def _looks(self, channel_ids: Sequence[int]) -> Sequence[Any]:
        async with self._database.read() as session:
            return await channel_cards.looks(session, channel_ids)

    async def _make_due(self, user_id: int, channel_ids: Sequence[int], now: datetime) -> list[int]:
        async with self._database.write() as session:
            due = await follows.make_due(session, user_id, channel_ids, now)
        self._wake()
        return due

    async def older(self, user_id: int, channel_id: int, count: int) -> bool:
        """Read so many posts further back (ALL: up to the channel's beginning; 0: stop that).

        False: it is not followed, or there is nothing further back.
        """
        async with self._database.write() as session:
            await follows.hold(session, channel_id)
            follow = await follows.follow(session, user_id, channel_id)
            if follow is None or (count and follow.at_beginning):
                return False
            follow.older_wanted, follow.older_read = count, 0
            # Who stops the first reading has what they want.
            follow.is_new = follow.is_new and count > 0
        self._wake()
        return True

    async def remove(self, user_id: int, channel_id: int, *, with_posts: bool) -> bool:
        """Follow it no more; its posts stay unless `with_posts`. False: it was not the user's."""
        async with self._database.write() as session:
            await follows.hold(session, channel_id)
            was_followed = await follows.unfollow(session, user_id, channel_id)
        deleted = with_posts and await self._delete_posts(user_id, channel_id)
        return was_followed or deleted

    async def _delete_posts(self, user_id: int, channel_id: int) -> bool:
        """In portions, between which others have their turn; False: there were none."""
        last = 0
        while True:
            async with self._database.write() as session:
                ids = await follows.delete_posts(session, user_id, channel_id, after=last, limit=PORTION)
            if not ids:
                return last > 0
            last = ids[-1]
            await asyncio.sleep(0)


def _parsed(row: Any, posts: int, since: datetime) -> Parsed:
    return Parsed(
        channel_id=row.channel_id,
        name=row.name,
        posts=posts,
        done=row.next_check_at > since,
        problem=Problem(row.problem) if row.problem else None,
    )


def _ask_for(source: SourceRow, now: datetime) -> None:
    """A wish rather than a turn: the page is wanted even if it has not changed."""
    source.next_check_at, source.interval_seconds = now, None


def _card(row: Any) -> ChannelCard:
    channel, link, follow, source = row[:4]
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
        problem=Problem(source.problem) if reads and source.problem else None,
        problem_since=source.problem_since if reads else None,
        older_wanted=follow.older_wanted if reads and not follow.is_new else 0,
        older_read=follow.older_read if reads and not follow.is_new else 0,
        at_beginning=bool(reads and follow.at_beginning),
    )
