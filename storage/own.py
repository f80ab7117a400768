"""What /stats counts of one user's posts: as `storage.reads` counts them, in statements that are built once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Connection, bindparam, func, literal_column, or_, select
from sqlalchemy import text as sql

from storage import legacy
from storage.models import QUEUED, Post
from storage.types import UtcDateTime

UNFINISHED = ("pending", "retrying", "failed", "skipped")


class Own:
    """The statements; each takes a few milliseconds at 100,000 posts of a user, from indexes."""

    def __init__(self, dialect: str) -> None:
        """`dialect`: 'sqlite' or 'postgresql'."""
        posts, now = Post.__table__.c, bindparam("now", type_=UtcDateTime)
        own = posts.user_id == bindparam("user_id")
        queued = select(posts.id).where(own, sql(QUEUED))
        unfinished = or_(posts.tagging_status.in_(UNFINISHED), posts.tagging_status.is_(None))
        tagged = literal_column(legacy.has_tags(dialect, "posts.tags"), Boolean)
        self._by_status = select(posts.tagging_status, func.count()).where(own).group_by(posts.tagging_status)
        self._unfinished = select(func.count()).where(own, posts.tags.is_not(None), tagged, unfinished)
        self._due = queued.where(or_(posts.next_attempt_at.is_(None), posts.next_attempt_at <= now)).limit(1)
        self._first = queued.with_only_columns(func.min(posts.next_attempt_at))

    def by_status(self, connection: Connection, user_id: int) -> dict[str | None, int]:
        """Status → posts."""
        found = connection.execute(self._by_status, {"user_id": user_id})
        return {row[0]: row[1] for row in found}

    def count_tagged_unfinished(self, connection: Connection, user_id: int) -> int:
        """Posts that have tags without being 'success'."""
        return connection.execute(self._unfinished, {"user_id": user_id}).scalar_one()

    def next_attempt_at(self, connection: Connection, user_id: int, now: datetime) -> datetime | None:
        """When the next waiting post becomes due; None when one is due now, or none waits."""
        if connection.execute(self._due, {"user_id": user_id, "now": now}).first() is not None:
            return None
        first: datetime | None = connection.execute(self._first, {"user_id": user_id}).scalar_one()
        return first
