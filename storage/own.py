"""What /stats counts of one user's posts: the statements of `storage.reads` on a bare connection (`storage.glance`)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from storage import reads


def by_status(connection: Connection, user_id: int) -> dict[str | None, int]:
    """Status → posts."""
    return reads.counted(connection.execute(reads.counts(own=True), {"user_id": user_id}))


def count_tagged_unfinished(connection: Connection, user_id: int) -> int:
    """Posts that have tags without being 'success'."""
    statement = reads.tagged_unfinished(connection.dialect.name, own=True)
    count: int = connection.execute(statement, {"user_id": user_id}).scalar_one()
    return count


def next_attempt_at(connection: Connection, user_id: int, now: datetime) -> datetime | None:
    """When the next waiting post becomes due; None when one is due now, or none waits."""
    is_due, first = reads.waiting(own=True)
    if connection.execute(is_due, {"user_id": user_id, "now": now}).first() is not None:
        return None
    at: datetime | None = connection.execute(first, {"user_id": user_id}).scalar_one_or_none()
    return at
