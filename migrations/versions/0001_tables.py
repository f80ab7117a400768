"""The parser's tables where they are missing, the queue's columns on posts, and Metka's tables.

Starts from an empty database, or from the parser's with or without its own four columns of tagging. Never touches
other tables and columns.
"""

from __future__ import annotations

import sqlalchemy as sa

from migrations.missing import add_columns, create_index, create_table, set_default
from storage.schema.types import TagList, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

QUEUED = "(tagging_status IS NULL OR tagging_status IN ('pending', 'retrying'))"
PARSER_VERDICT = "tagging_status = 'skipped' AND skipped_at IS NULL AND tagging_error IS NOT NULL"


def upgrade() -> None:
    """Create what is missing."""
    create_parser_people()
    create_posts()
    add_queue_columns()
    create_posts_indexes()
    create_attempts()
    create_people()
    create_batches()
    create_outbox()


def create_parser_people() -> None:
    """The parser's users, channels and follows."""
    create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("telegram_id", sa.BigInteger, nullable=False, unique=True),
        sa.Column("username", sa.String),
        sa.Column("first_name", sa.String),
        sa.Column("last_name", sa.String),
        sa.Column("created_at", UtcDateTime),
        sa.Column("is_active", sa.Boolean, server_default=sa.text("true")),
    )
    create_table(
        "channels",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel_username", sa.String, nullable=False, unique=True),
        sa.Column("channel_id", sa.BigInteger, unique=True),
        sa.Column("channel_title", sa.String),
        sa.Column("created_at", UtcDateTime),
    )
    create_table(
        "user_channel",
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("channel_id", sa.Integer, sa.ForeignKey("channels.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("is_active", sa.Boolean, server_default=sa.text("true")),
        sa.Column("created_at", UtcDateTime),
        sa.Column("last_parsed_at", UtcDateTime),
    )


def create_posts() -> None:
    """The parser's posts."""
    create_table(
        "posts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("channel_id", sa.Integer, sa.ForeignKey("channels.id"), nullable=False),
        sa.Column("telegram_message_id", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("posted_at", UtcDateTime, nullable=False),
    )
    add_columns(
        "posts",
        sa.Column("views", sa.Integer),
        sa.Column("url", sa.String),
        sa.Column("parsed_at", UtcDateTime),
        sa.Column("tags", TagList),
        sa.Column("enriched_content", sa.Text),
    )


def add_queue_columns() -> None:
    """The four columns of tagging and Metka's; none requires a value from the parser's INSERT."""
    add_columns(
        "posts",
        sa.Column("tagging_status", sa.String, server_default="pending"),
        sa.Column("tagging_attempts", sa.Integer, server_default="0"),
        sa.Column("last_tagging_attempt", UtcDateTime),
        sa.Column("tagging_error", sa.Text),
        sa.Column("next_attempt_at", UtcDateTime),
        sa.Column("work_class", sa.SmallInteger),
        sa.Column("requested_at", UtcDateTime),
        sa.Column("lease_token", sa.String(32)),
        sa.Column("lease_expires_at", UtcDateTime),
        sa.Column("attempt_trail", sa.JSON),
        sa.Column("waits_for_upstream", sa.Boolean),
        sa.Column("failure_kind", sa.String(16)),
        sa.Column("nightly_retries", sa.SmallInteger),
        sa.Column("skipped_at", UtcDateTime),
        sa.Column("media_group_id", sa.String(64)),
    )
    set_default("posts", "tagging_status", "pending")
    set_default("posts", "tagging_attempts", "0")


def create_posts_indexes() -> None:
    """Indexes for counts and claims at a million posts; none is unique, since the parser may store duplicates."""
    create_index("ix_metka_posts_user_status", "posts", ["user_id", "tagging_status"])
    order = [sa.text("coalesce(work_class, 1)"), sa.text("posted_at DESC")]
    create_index("ix_metka_posts_queue", "posts", ["user_id", *order], QUEUED)
    create_index("ix_metka_posts_next_attempt", "posts", ["next_attempt_at"], QUEUED)
    create_index("ix_metka_posts_message", "posts", ["channel_id", "telegram_message_id"])
    create_index("ix_metka_posts_parser_verdict", "posts", ["tagging_status"], PARSER_VERDICT)


def create_attempts() -> None:
    """Requests to models, and the states of models."""
    create_table(
        "metka_attempts",
        sa.Column("id", big_key(), primary_key=True),
        sa.Column("post_id", sa.Integer, sa.ForeignKey("posts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("model_asked", sa.String(200), nullable=False),
        sa.Column("model_answered", sa.String(200)),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("prompt_tokens", sa.Integer),
        sa.Column("completion_tokens", sa.Integer),
        sa.Column("cost", sa.Double),
        sa.Column("error", sa.Text),
        sa.Column("answer", sa.Text),
    )
    create_index("ix_metka_attempts_post", "metka_attempts", ["post_id", "id"])
    create_index("ix_metka_attempts_outcome_at", "metka_attempts", ["outcome", "at"])
    create_index("ix_metka_attempts_at", "metka_attempts", ["at"])
    create_table(
        "metka_upstream",
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("aside_until", UtcDateTime),
        sa.Column("reason", sa.String(16)),
        sa.Column("detail", sa.Text),
        sa.Column("since", UtcDateTime),
        sa.Column("faults", sa.Integer, nullable=False, server_default="0"),
        sa.Column("pauses", sa.Integer, nullable=False, server_default="0"),
    )


def create_people() -> None:
    """People, and the channels that they added the bot to."""
    create_table(
        "metka_people",
        sa.Column("telegram_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("language", sa.String(8)),
        sa.Column("name", sa.String),
        sa.Column("username", sa.String),
        sa.Column("access", sa.String(16)),
        sa.Column("reachable", sa.Boolean),
        sa.Column("told", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("last_notice_at", UtcDateTime),
        sa.Column("updated_at", UtcDateTime),
    )
    create_table(
        "metka_channel_owners",
        sa.Column("telegram_channel_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("owner_telegram_id", sa.BigInteger, nullable=False),
        sa.Column("title", sa.String),
        sa.Column("username", sa.String),
        sa.Column("added_at", UtcDateTime, nullable=False),
        sa.Column("removed_at", UtcDateTime),
    )
    create_index("ix_metka_channel_owners_owner_telegram_id", "metka_channel_owners", ["owner_telegram_id"])


def create_batches() -> None:
    """Posts of each /retry."""
    create_table(
        "metka_batches",
        sa.Column("id", big_key(), primary_key=True),
        sa.Column("telegram_id", sa.BigInteger, nullable=False),
        sa.Column("chat_id", sa.BigInteger),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("closed_at", UtcDateTime),
        sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.text("false")),
    )
    create_table(
        "metka_batch_posts",
        sa.Column("batch_id", big_key(), sa.ForeignKey("metka_batches.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("post_id", sa.Integer, sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("previous_status", sa.String),
        sa.Column("previous_next_attempt_at", UtcDateTime),
        sa.Column("previous_attempts", sa.Integer),
        sa.Column("previous_work_class", sa.SmallInteger),
    )
    create_index("ix_metka_batch_posts_post_id", "metka_batch_posts", ["post_id"])


def create_outbox() -> None:
    """Messages to people."""
    create_table(
        "metka_outbox",
        sa.Column("id", big_key(), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("telegram_id", sa.BigInteger, nullable=False),
        sa.Column("post_id", sa.Integer, sa.ForeignKey("posts.id", ondelete="CASCADE")),
        sa.Column("chat_id", sa.BigInteger),
        sa.Column("message_id", sa.BigInteger),
        sa.Column("payload", sa.JSON),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ready_at", UtcDateTime),
        sa.Column("not_before", UtcDateTime),
        sa.Column("done_at", UtcDateTime),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
    )
    create_index("ix_metka_outbox_post_id", "metka_outbox", ["post_id"])
    create_index("ix_metka_outbox_ready", "metka_outbox", ["ready_at"], "done_at IS NULL")


def big_key() -> sa.types.TypeEngine[int]:
    """A primary key: SQLite numbers rows by itself only if the type is exactly INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")
