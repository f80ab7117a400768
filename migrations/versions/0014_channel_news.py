"""Whether a channel's owner is told of each tagged post."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.missing import add_columns

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    add_columns("metka_channel_owners", sa.Column("tells_tagged", sa.Boolean))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("metka_channel_owners") as table:
        table.drop_column("tells_tagged")
