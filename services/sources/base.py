"""What every source of posts gives: deliveries of a channel's messages, which the intake stores.

To add a source, write a class with `deliveries` in a file of its own beside this one; it raises `SourceError` for
whatever is wrong outside, and nothing else. Storing, tagging and telling people are the same for all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceChannel:
    """A channel (or a chat) as its source names it: by Telegram's number, its public name, or both.

    Attributes:
        telegram_id: as the Bot API gives it (-100…); None: not known.
        username: without @; None: it has none, or it is not known.
    """

    telegram_id: int | None
    username: str | None
    title: str


@dataclass(frozen=True, slots=True)
class SourcePost:
    """One message of a channel's.

    Attributes:
        message_id: its number in the channel, from 1.
        text: plain text with line breaks; None or blank: there is nothing to tag (a photo alone).
        as_of: when the text is known to have been this: a stored text that is newer stays. None: it is now.
        media_group_id: Telegram's id of its album.
        members: numbers of the album's messages, where the source joins them to one.
    """

    message_id: int
    text: str | None
    posted_at: datetime
    url: str | None = None
    views: int | None = None
    as_of: datetime | None = None
    media_group_id: str | None = None
    members: tuple[int, ...] = ()


#: Of `Delivery.skipped`: messages of a kind that is not known.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages of one channel that came together.

    Attributes:
        position: where the source stands after them; given to `deliveries`, it goes on from there.
        skipped: what was left out, reason → how many.
        is_whole: no message between the lowest and the highest of these numbers is left out, so that one which is
            stored and not here was deleted.
        is_last: nothing comes after it.
    """

    channel: SourceChannel
    posts: Sequence[SourcePost]
    position: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    is_whole: bool = False
    is_last: bool = False


class SourceError(Exception):
    """A source cannot be read; the text says why (English, for the log), without secrets."""


class SourceGoneError(SourceError):
    """There is nothing (any more) to be read under that name: no such channel, a private one, one without preview."""


class SourceUnreadableError(SourceError):
    """What came is not of the form that is known: nothing of it may be stored."""


class SourceUnavailableError(SourceError):
    """The server cannot answer now.

    Attributes:
        retry_after: seconds that it asks to wait; None: it does not say.
        of_this_name: it is the answer to one name, and says nothing of the others.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, of_this_name: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.of_this_name = of_this_name


class Source(Protocol):
    """Something that posts can be read from, a part after the other."""

    def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        """The messages from beyond `position` (0: from where the source begins), in parts of some hundred at most.

        A channel's source begins with its newest messages and goes back from there; a file's begins at its beginning.
        It ends where there is nothing more; without any delivery if nothing is new since it was last asked.

        Raises:
            SourceError: it cannot be read, or not any further.
        """
        ...
