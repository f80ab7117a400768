"""What people do with public channels: add, look, pause, fetch now, read further back, remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.clock import Clock
from storage.database import Database

#: Posts that are read when a channel is added, and with each press of the button for more.
FIRST_POSTS, MORE_POSTS = 50, 200
#: Channels of one user that are read at most: with one request a second none then waits for long.
MOST_CHANNELS = 200
#: `Channels.older`: all that there is.
ALL = 2**31 - 1
PAGE = 6


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
            names: public names without @, as `services.names.channel_names` finds them.
        """
        raise NotImplementedError

    async def attach(self, user_id: int, channel_id: int, chat_id: int, message_id: int) -> None:
        """This message is to show how far the first reading, or that of older posts, is."""
        raise NotImplementedError

    async def page(self, user_id: int, page: int) -> ChannelPage:
        """The user's channels: those followed, and those they have posts of. Beyond the last page: the last."""
        raise NotImplementedError

    async def card(self, user_id: int, channel_id: int) -> ChannelCard | None:
        """One of them; None: not the user's."""
        raise NotImplementedError

    async def pause(self, user_id: int, channel_id: int, *, paused: bool) -> bool:
        """Do not read the channel for this user, or do so again; False: it is not followed."""
        raise NotImplementedError

    async def fetch_now(self, user_id: int, channel_id: int) -> bool:
        """Read it as soon as possible; False: it is not followed, or paused."""
        raise NotImplementedError

    async def older(self, user_id: int, channel_id: int, count: int) -> bool:
        """Read so many posts further back (ALL: up to the channel's beginning; 0: stop that).

        False: it is not followed, or there is nothing further back.
        """
        raise NotImplementedError

    async def remove(self, user_id: int, channel_id: int, *, with_posts: bool) -> bool:
        """Follow it no more; its posts stay unless `with_posts`. False: it was not the user's."""
        raise NotImplementedError
