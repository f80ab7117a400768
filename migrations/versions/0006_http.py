"""For the HTTP side: tokens of users, received webhook updates, and an index for pages of a user's posts."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.missing import create_index, create_table
from storage.schema.types import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the index."""
    create_table(
        "metka_tokens",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("telegram_id", sa.BigInteger, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    create_index("ix_metka_tokens_user_id", "metka_tokens", ["user_id"])
    create_table(
        "metka_updates",
        sa.Column("update_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("handled_at", UtcDateTime),
    )
    create_index("ix_metka_updates_waiting", "metka_updates", ["update_id"], "handled_at IS NULL")
    create_index("ix_metka_posts_user_posted", "posts", ["user_id", "posted_at", "id"])
