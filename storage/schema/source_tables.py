"""Tables of sources, imports, feeds and hashtags. References to the parser's rows cascade."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, SmallInteger, String, Text
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema.index_conditions import HASHTAGS_OPEN
from storage.schema.tables import Base, BigKey, partial_index
from storage.schema.types import UtcDateTime


class Follow(Base):
    """A user's follow of a public channel. `user_channel.is_active` says whether it is paused."""

    __tablename__ = "metka_follows"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True, index=True)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: The bot inserted the row of `user_channel`, too.
    made_link: Mapped[bool] = mapped_column(server_default=sql("false"))
    #: The highest message read for this user; all from `oldest_id` on were read, except the gap.
    newest_id: Mapped[int | None] = mapped_column(BigInteger)
    #: The gap: messages below `gap_before`, down to `gap_until`, are not read yet.
    gap_before: Mapped[int | None] = mapped_column(BigInteger)
    gap_until: Mapped[int | None] = mapped_column(BigInteger)
    #: The lowest message read for this user.
    oldest_id: Mapped[int | None] = mapped_column(BigInteger)
    is_new: Mapped[bool] = mapped_column(server_default=sql("true"))
    at_beginning: Mapped[bool] = mapped_column(server_default=sql("false"))
    #: How many older posts are still to be read, and how many of this request were; 0: none.
    older_wanted: Mapped[int] = mapped_column(server_default="0")
    older_read: Mapped[int] = mapped_column(server_default="0")
    #: The message that shows the progress.
    chat_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[int | None] = mapped_column(BigInteger)


class SourceRow(Base):
    """The reading state of a public channel, one for all its followers."""

    __tablename__ = "metka_sources"

    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True)
    #: The public name, without @.
    name: Mapped[str] = mapped_column(String(64))
    next_check_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    interval_seconds: Mapped[int | None]
    failures: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    #: 'gone', 'unreadable' or 'unavailable', since when, and in which words for the log.
    problem: Mapped[str | None] = mapped_column(String(16))
    problem_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    problem_detail: Mapped[str | None] = mapped_column(Text)


class ImportRow(Base):
    """An import of an export, and its position, so that it continues after a stop."""

    __tablename__ = "metka_imports"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    #: SHA-256 of the file's size and beginning, to recognise the file.
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    file_name: Mapped[str | None] = mapped_column(String)
    #: Telegram's id of a file sent to the bot, its sender, and the message that shows the progress.
    file_id: Mapped[str | None] = mapped_column(String(255))
    telegram_id: Mapped[int | None] = mapped_column(BigInteger)
    chat_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    #: `services.sources.base.Delivery.position` of the last stored delivery.
    position: Mapped[int] = mapped_column(BigInteger, server_default="0")
    #: Outcomes of the messages so far: {'new': 1, 'known': 2, 'edited': 0, 'skipped': {'service': 3}}.
    counts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)


class FeedRow(Base):
    __tablename__ = "metka_feeds"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    #: The owner: SQLite may reuse a deleted user's id.
    telegram_id: Mapped[int] = mapped_column(BigInteger)
    secret: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class HashtagRow(Base):
    """A channel message with hashtags."""

    __tablename__ = "metka_hashtags"

    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    message_id: Mapped[int] = mapped_column(BigInteger)
    is_caption: Mapped[bool]
    #: Text and entities (the Bot API's JSON) without the appended line.
    text: Mapped[str] = mapped_column(Text)
    entities: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    #: Options that an edit must repeat (`services.hashtags.formatting.EditableMessage.options`).
    options: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    #: The line in the channel now.
    line: Mapped[str | None] = mapped_column(Text)
    #: Another line that the channel may show: being written, or the former one.
    other_line: Mapped[str | None] = mapped_column(Text)
    #: The last known edit of the message, by Telegram's clock.
    edited_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: 'waiting' (for tags), 'written', 'undoing' (a person asked), 'undone' (stays so), 'refused' (by Telegram).
    state: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_metka_hashtags_chat", "chat_id", "post_id"),
        partial_index("ix_metka_hashtags_open", "post_id", where=HASHTAGS_OPEN),
    )
