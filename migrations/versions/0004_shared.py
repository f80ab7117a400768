"""State of the provider's account shared by all processes (probes, pace, daily quota), and how attempts ended."""

from __future__ import annotations

import sqlalchemy as sa

from migrations.missing import add_columns, create_index, create_table
from storage.schema.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables."""
    add_columns("posts", sa.Column("after_fault", sa.Boolean), sa.Column("suspect", sa.Boolean))
    add_columns("metka_upstream", sa.Column("probe_until", UtcDateTime))
    add_columns("metka_attempts", sa.Column("ended", sa.String(16)))
    create_index("ix_metka_attempts_ended_at", "metka_attempts", ["at"], "ended IS NOT NULL")
    add_columns("metka_outbox", sa.Column("topic", sa.String(32)))
    create_index("ix_metka_outbox_topic", "metka_outbox", ["topic"], "topic IS NOT NULL")
    create_table(
        "metka_budget",
        sa.Column("lane", sa.String(200), primary_key=True),
        sa.Column("next_at", UtcDateTime),
        sa.Column("per_minute", sa.Integer),
        sa.Column("learnt_at", UtcDateTime),
        sa.Column("day", sa.String(10)),
        sa.Column("day_used", sa.Integer, nullable=False, server_default="0"),
        sa.Column("day_limit", sa.Integer),
        sa.Column("checked_at", UtcDateTime),
    )
