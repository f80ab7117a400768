"""On SQLite a user's tags stand in the index of their posts: to look through them it need not find each post's row.

PostgreSQL has them in no index: there an entry may hold 2.7 KB, and a row with longer tags would be refused.
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
