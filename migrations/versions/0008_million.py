"""Indexes for a million posts: a claim and each list read only their part of an index.

Counts come from two indexes: a user's posts, and those that are not finished (usually few); the rest have their tags.
`docs/development/decisions/0003` has the measurements.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.missing import create_index

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

QUEUED = "(tagging_status IS NULL OR tagging_status IN ('pending', 'retrying'))"
UNFINISHED = "(tagging_status IS NULL OR tagging_status <> 'success')"
DUE_AT = "coalesce(next_attempt_at, '1970-01-01 00:00:00')"

#: Indexes that the new ones replace.
REPLACED = (
    "ix_metka_posts_user_status",
    "ix_metka_posts_queue",
    "ix_metka_posts_next_attempt",
    "ix_metka_attempts_ended_at",
)


def upgrade() -> None:
    """Replace the indexes."""
    for name in REPLACED:
        op.execute(f"DROP INDEX IF EXISTS {name}")
    create_index("ix_metka_posts_user_channel", "posts", ["user_id", "channel_id"])
    columns = ["user_id", "tagging_status", "posted_at", "id", "next_attempt_at"]
    create_index("ix_metka_posts_unfinished", "posts", columns, UNFINISHED)
    create_index(
        "ix_metka_posts_tagged_unfinished",
        "posts",
        ["user_id"],
        f"{UNFINISHED} AND length(CAST(tags AS TEXT)) > 4",
    )
    create_index(
        "ix_metka_posts_troubled",
        "posts",
        ["tagging_status", "posted_at", "id"],
        "tagging_status IN ('failed', 'retrying')",
    )
    order = [sa.text("coalesce(work_class, 1)"), "user_id", sa.text("posted_at DESC"), sa.text(DUE_AT)]
    create_index("ix_metka_posts_queue", "posts", order, QUEUED)
    create_index("ix_metka_posts_due", "posts", [sa.text(DUE_AT)], QUEUED)
    create_index("ix_metka_posts_waits", "posts", ["next_attempt_at"], "waits_for_upstream")
    create_index("ix_metka_attempts_ended", "metka_attempts", ["at", "ended", "outcome"], "ended IS NOT NULL")
