"""Tags in SQLite's index of a user's posts: a search through them need not read each post's row.

Not on PostgreSQL, whose index entries are limited to 2.7 KB: it would refuse a row with longer tags.
"""

from __future__ import annotations

from alembic import op

from migrations.missing import create_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index of a user's posts."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP INDEX IF EXISTS ix_metka_posts_user_posted")
        create_index("ix_metka_posts_user_tags", "posts", ["user_id", "posted_at", "id", "tags"])
