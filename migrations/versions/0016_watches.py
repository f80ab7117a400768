"""What people watch their new posts for, and the posts that were found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.missing import create_index, create_table
from storage.schema.types import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    create_table(
        "metka_watches",
        sa.Column("id", BIG_KEY, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("telegram_id", sa.BigInteger, nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("thread_id", sa.Integer),
        sa.Column("query", sa.String(200), nullable=False),
        sa.Column("every", sa.String(8), nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("next_at", UtcDateTime, nullable=False),
    )
    create_index("ix_metka_watches_user_id", "metka_watches", ["user_id"])
    create_table(
        "metka_watch_hits",
        sa.Column("watch_id", sa.BigInteger, sa.ForeignKey("metka_watches.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("post_id", sa.Integer, sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("matches", sa.Boolean),
        sa.Column("outbox_id", sa.BigInteger),
    )
    create_index("ix_metka_watch_hits_post_id", "metka_watch_hits", ["post_id"])
    create_index("ix_metka_watch_hits_open", "metka_watch_hits", ["watch_id"], where="outbox_id IS NULL")
    create_index("ix_metka_watch_hits_outbox_id", "metka_watch_hits", ["outbox_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("metka_watch_hits")
    op.drop_table("metka_watches")
