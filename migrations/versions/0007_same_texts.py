"""For posts of equal text: the key of the tagged text, and whether new tags are wanted."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.missing import add_columns, create_index

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the index."""
    add_columns("posts", sa.Column("text_key", sa.BigInteger), sa.Column("wants_new", sa.Boolean))
    create_index(
        "ix_metka_posts_text_key", "posts", ["text_key", "id"], "text_key IS NOT NULL AND tagging_status = 'success'"
    )
