"""What /stats counts of one user's posts: the statements of `storage.reads.overview` by `storage.db.glance`."""

from __future__ import annotations

from datetime import datetime

from storage.db.glance import Glance
from storage.reads import overview


def by_status(glance: Glance, user_id: int) -> dict[str | None, int]:
    """Status → posts."""
    return overview.counted(glance.rows(overview.counts(own=True), {"user_id": user_id}))


def count_tagged_unfinished(glance: Glance, user_id: int) -> int:
    """Posts that have tags without being 'success'."""
    statement = overview.tagged_unfinished(glance.dialect_name, own=True)
    count: int = glance.rows(statement, {"user_id": user_id})[0][0]
    return count


def next_attempt_at(glance: Glance, user_id: int, now: datetime) -> datetime | None:
    """When the next waiting post becomes due; None when one is due now, or none waits."""
    is_due, first = overview.waiting(own=True)
    if glance.rows(is_due, {"user_id": user_id, "now": now}):
        return None
    at: datetime | None = glance.rows(first, {"user_id": user_id})[0][0]
    return at
