"""Whether the provider stated a day's quota, or it follows from the kind of account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.missing import add_columns

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: NULL is not stated."""
    add_columns("metka_budget", sa.Column("day_limit_stated", sa.Boolean))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("metka_budget") as table:
        table.drop_column("day_limit_stated")
