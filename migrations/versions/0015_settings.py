"""What people and administrators set in the chat: personal settings, stored settings, the administrators' journal."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.missing import add_columns, create_table
from storage.schema.types import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
PERSONAL: dict[str, sa.types.TypeEngine[Any]] = {
    "time_zone": sa.String(64),
    "quiet_from": sa.SmallInteger(),
    "quiet_until": sa.SmallInteger(),
    "notices": sa.String(8),
    "notice_chat_id": sa.BigInteger(),
    "notice_thread_id": sa.Integer(),
    "digest": sa.String(8),
    "digest_hour": sa.SmallInteger(),
    "digest_at": UtcDateTime(),
}


def upgrade() -> None:
    """Add the columns and the tables."""
    add_columns("metka_people", *(sa.Column(name, kind) for name, kind in PERSONAL.items()))
    add_columns("metka_outbox", sa.Column("thread_id", sa.Integer))
    create_table(
        "metka_settings",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("changed_by", sa.BigInteger, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    create_table(
        "metka_admin_journal",
        sa.Column("id", BIG_KEY, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("telegram_id", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("details", sa.JSON),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("metka_admin_journal")
    op.drop_table("metka_settings")
    op.drop_column("metka_outbox", "thread_id")
    for name in PERSONAL:
        op.drop_column("metka_people", name)
