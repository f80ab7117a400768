"""What people watch their new posts for. References to the parser's rows cascade."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.schema.tables import Base, BigKey, partial_index
from storage.schema.types import UtcDateTime


class WatchRow(Base):
    """A query; posts of the user that match it are sent to a chat."""

    __tablename__ = "metka_watches"

    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    #: Who made it.
    telegram_id: Mapped[int] = mapped_column(BigInteger)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    thread_id: Mapped[int | None]
    query: Mapped[str] = mapped_column(String(200))
    #: 'now', 'hourly' or 'daily'.
    every: Mapped[str] = mapped_column(String(8))
    paused: Mapped[bool] = mapped_column(server_default=sql("false"))
    #: Only posts published since then are told.
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the next message may go out.
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WatchHit(Base):
    """A post that a watch has to look at, or has found. It stays, so that the post is told once."""

    __tablename__ = "metka_watch_hits"

    watch_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("metka_watches.id", ondelete="CASCADE"), primary_key=True
    )
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, index=True)
    #: NULL: to be looked at. A row of a post that does not match is deleted.
    matches: Mapped[bool | None]
    #: The message that tells of it.
    outbox_id: Mapped[int | None] = mapped_column(BigInteger, index=True)

    __table_args__ = (partial_index("ix_metka_watch_hits_open", "watch_id", where="outbox_id IS NULL"),)
