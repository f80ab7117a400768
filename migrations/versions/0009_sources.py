"""Public channels, imports, feeds, and hashtags in channels."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.missing import add_columns, create_index, create_table
from storage.schema.types import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the columns."""
    create_sources()
    create_imports()
    create_table(
        "metka_feeds",
        _user(primary_key=True),
        sa.Column("telegram_id", sa.BigInteger, nullable=False),
        sa.Column("secret", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    create_hashtags()
    add_columns("posts", sa.Column("gone_at", UtcDateTime))
    if op.get_bind().dialect.name == "sqlite":
        cascade_on_sqlite()


def create_sources() -> None:
    """Follows, and the reading state of each channel."""
    create_table(
        "metka_follows",
        _user(primary_key=True),
        _channel(),
        sa.Column("added_at", UtcDateTime, nullable=False),
        sa.Column("made_link", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("newest_id", sa.BigInteger),
        sa.Column("gap_before", sa.BigInteger),
        sa.Column("gap_until", sa.BigInteger),
        sa.Column("oldest_id", sa.BigInteger),
        sa.Column("is_new", sa.Boolean, nullable=False, server_default=sa.text("true")),
        sa.Column("at_beginning", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("older_wanted", sa.Integer, nullable=False, server_default="0"),
        sa.Column("older_read", sa.Integer, nullable=False, server_default="0"),
        sa.Column("chat_id", sa.BigInteger),
        sa.Column("message_id", sa.BigInteger),
    )
    create_index("ix_metka_follows_channel_id", "metka_follows", ["channel_id"])
    create_table(
        "metka_sources",
        _channel(),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("next_check_at", UtcDateTime, nullable=False),
        sa.Column("checked_at", UtcDateTime),
        sa.Column("interval_seconds", sa.Integer),
        sa.Column("failures", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("problem", sa.String(16)),
        sa.Column("problem_since", UtcDateTime),
        sa.Column("problem_detail", sa.Text),
    )
    create_index("ix_metka_sources_next_check_at", "metka_sources", ["next_check_at"])


def create_imports() -> None:
    """Unfinished and finished imports."""
    create_table(
        "metka_imports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        _user(),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("file_name", sa.String),
        sa.Column("file_id", sa.String(255)),
        sa.Column("telegram_id", sa.BigInteger),
        sa.Column("chat_id", sa.BigInteger),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("position", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("counts", sa.JSON),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("error", sa.Text),
    )
    create_index("ix_metka_imports_user_id", "metka_imports", ["user_id"])


def create_hashtags() -> None:
    """Where the bot may edit and is asked to, and the lines that it wrote."""
    add_columns(
        "metka_channel_owners",
        sa.Column("can_edit", sa.Boolean),
        sa.Column("hashtags_since", UtcDateTime),
    )
    create_table(
        "metka_hashtags",
        sa.Column("post_id", sa.Integer, sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("is_caption", sa.Boolean, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("entities", sa.JSON),
        sa.Column("options", sa.JSON),
        sa.Column("line", sa.Text),
        sa.Column("other_line", sa.Text),
        sa.Column("edited_at", UtcDateTime),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    create_index("ix_metka_hashtags_chat", "metka_hashtags", ["chat_id", "post_id"])
    create_index("ix_metka_hashtags_open", "metka_hashtags", ["post_id"], "state IN ('waiting', 'undoing')")


def cascade_on_sqlite() -> None:
    """Replace cascades for a parser that opens the file without `foreign_keys` (see revision 0003)."""
    _on_delete("posts", "metka_post_deleted_hashtags", ["metka_hashtags.post_id"])
    theirs = ["metka_follows.user_id", "metka_imports.user_id", "metka_feeds.user_id"]
    _on_delete("users", "metka_user_deleted", theirs)
    _on_delete("channels", "metka_channel_deleted", ["metka_follows.channel_id", "metka_sources.channel_id"])


def _on_delete(table: str, trigger: str, references: list[str]) -> None:
    pairs = (reference.split(".") for reference in references)
    statements = " ".join(f"DELETE FROM {name} WHERE {column} = OLD.id;" for name, column in pairs)  # noqa: S608
    op.execute(f"CREATE TRIGGER {trigger} AFTER DELETE ON {table} FOR EACH ROW BEGIN {statements} END")


def _user(*, primary_key: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    return sa.Column("user_id", sa.Integer, key, primary_key=primary_key, nullable=False)


def _channel() -> sa.Column[int]:
    return sa.Column("channel_id", sa.Integer, sa.ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True)
