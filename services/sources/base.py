"""Every source of posts gives deliveries of a channel's messages.

To add a source, write a class with `deliveries` in a package beside `preview` and `export`. It raises `SourceError` and
nothing else. Storing, tagging and telling people are the same for all sources.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class ChatKind(StrEnum):
    """What a chat is. PERSON, BOT, SAVED and PRIVATE_GROUP hold what was not written for the public."""

    CHANNEL = "channel"
    GROUP = "group"
    PRIVATE_GROUP = "private_group"
    PERSON = "person"
    BOT = "bot"
    SAVED = "saved"


@dataclass(frozen=True, slots=True)
class SourceChannel:
    """A channel or chat, by Telegram's number as the Bot API gives it (-100…), its name without @, or both.

    `in_account`: it came along in the export of a whole account, so nobody chose it.
    """

    telegram_id: int | None
    username: str | None
    title: str
    kind: ChatKind = ChatKind.CHANNEL
    in_account: bool = False

    @property
    def waits_for_consent(self) -> bool:
        """Nothing of the chat may be sent to a model before its user has agreed."""
        return self.in_account and self.kind not in {ChatKind.CHANNEL, ChatKind.GROUP}


@dataclass(frozen=True, slots=True)
class SourcePost:
    """One message of a channel.

    Attributes:
        message_id: its number in the channel, from 1.
        text: plain text with line breaks; None or blank without anything to tag (a photo alone).
        as_of: when the text was last known to be this; a stored text that is newer stays. None means now.
        media_group_id: Telegram's id of its album.
        members: message numbers of the album, if the source joins them to one post.
        is_supported: False if the message may say something that the source does not give.
    """

    message_id: int
    text: str | None
    posted_at: datetime
    url: str | None = None
    views: int | None = None
    as_of: datetime | None = None
    media_group_id: str | None = None
    members: tuple[int, ...] = ()
    is_supported: bool = True


#: The reason in `Delivery.skipped` for messages of an unknown kind.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages of one channel that came together.

    Attributes:
        position: where the source stands after them; `deliveries(position)` goes on from there.
        skipped: messages that became no post, reason → how many.
        is_whole: all messages between the lowest and the highest number are here: a stored post between them that is
            missing was deleted.
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
    """No such channel (any more), a private one, or one without a preview."""


class SourceUnreadableError(SourceError):
    """The answer is of an unknown form: nothing of it may be stored."""


class SourceUnavailableError(SourceError):
    """The server cannot answer now. `retry_after`: seconds that it asks to wait.

    `of_this_name`: the error concerns this channel's name only.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, of_this_name: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.of_this_name = of_this_name


class Source(Protocol):
    def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        """The messages from beyond `position` (0: from the start), some hundred at most in each part.

        A channel's preview starts with the newest messages and goes back; a file starts at its beginning. Gives no
        delivery if nothing is new since the last time.

        Raises:
            SourceError: it cannot be read, or not any further.
        """
        ...
