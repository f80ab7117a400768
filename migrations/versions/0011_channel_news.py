"""Whether a channel's owner is told of each tagged post."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.missing import add_columns

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    add_columns("metka_channel_owners", sa.Column("tells_tagged", sa.Boolean))
