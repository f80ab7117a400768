"""Vocabularies of users: tags with keys, stems, changes, what people did by hand, suggestions, rules.

What exists is counted afterwards, beside the running bot (`posts.counted_tags`).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.missing import add_columns, create_index, create_table
from storage.schema.types import TagList, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UNCOUNTED = "tagging_status = 'success' AND coalesce(counted_tags, '') <> coalesce(CAST(tags AS TEXT), '')"


def upgrade() -> None:
    """Add the tables, and the column that says which tags of a post are counted."""
    create_vocabulary()
    create_changes()
    create_suggestions()
    create_rules()
    add_columns("posts", sa.Column("counted_tags", sa.Text))
    create_index("ix_metka_posts_uncounted", "posts", ["id"], UNCOUNTED)
    if op.get_bind().dialect.name == "sqlite":
        cascade_on_sqlite()


def create_vocabulary() -> None:
    """Tags, and the stems by which they are found."""
    create_table(
        "metka_tags",
        sa.Column("id", BIG_KEY, primary_key=True),
        _user(),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_use", UtcDateTime),
        sa.Column("origin", sa.String(8), nullable=False),
        sa.Column("state", sa.String(8), nullable=False, server_default="offered"),
        sa.Column("merged_into", sa.BigInteger),
        sa.Column("stem_count", sa.SmallInteger, nullable=False, server_default="0"),
    )
    op.create_index("ix_metka_tags_key", "metka_tags", ["user_id", "key"], unique=True, if_not_exists=True)
    offered = "state = 'offered' AND merged_into IS NULL"
    create_index("ix_metka_tags_most_used", "metka_tags", ["user_id", "uses"], offered)
    create_index("ix_metka_tags_merged", "metka_tags", ["merged_into"], "merged_into IS NOT NULL")
    create_table(
        "metka_tag_stems",
        _user(primary_key=True),
        sa.Column("stem", sa.Text, primary_key=True),
        sa.Column("tag_id", sa.BigInteger, sa.ForeignKey("metka_tags.id", ondelete="CASCADE"), primary_key=True),
    )
    create_index("ix_metka_tag_stems_tag_id", "metka_tag_stems", ["tag_id"])


def create_changes() -> None:
    """The journal of changes, and what people did to posts' tags."""
    create_table(
        "metka_tag_changes",
        sa.Column("id", BIG_KEY, primary_key=True),
        _user(),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("tag_id", sa.BigInteger, nullable=False),
        sa.Column("into_id", sa.BigInteger),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("undone_at", UtcDateTime),
        sa.Column("until_post", sa.Integer, nullable=False),
        sa.Column("at_post", sa.Integer, nullable=False, server_default="0"),
        sa.Column("step", sa.String(12)),
    )
    create_index("ix_metka_tag_changes_tag", "metka_tag_changes", ["user_id", "tag_id", "id"])
    create_index("ix_metka_tag_changes_open", "metka_tag_changes", ["id"], "step IS NOT NULL")
    change = sa.ForeignKey("metka_tag_changes.id", ondelete="CASCADE")
    create_table(
        "metka_tag_change_posts",
        sa.Column("change_id", sa.BigInteger, change, primary_key=True),
        _post(),
        sa.Column("before", TagList, nullable=False),
        sa.Column("after", TagList, nullable=False),
    )
    create_index("ix_metka_tag_change_posts_post_id", "metka_tag_change_posts", ["post_id"])
    create_table(
        "metka_hand_made_tags",
        _post(),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_added", sa.Boolean, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )


def create_suggestions() -> None:
    """Pairs of tags that may mean the same, and when a model was asked for them."""
    create_table(
        "metka_tag_pairs",
        _user(primary_key=True),
        sa.Column("tag_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("other_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    create_table(
        "metka_tag_suggestion_runs",
        _user(primary_key=True),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("until_post", sa.Integer, nullable=False),
    )


def create_rules() -> None:
    """Rules for tags, of users and of their channels."""
    create_table(
        "metka_tag_rules",
        sa.Column("id", BIG_KEY, primary_key=True),
        _user(),
        sa.Column("channel_id", sa.Integer, sa.ForeignKey("channels.id", ondelete="CASCADE")),
        sa.Column("mode", sa.String(8)),
        sa.Column("language", sa.String(8)),
        sa.Column("most_tags", sa.SmallInteger),
        sa.Column("instruction", sa.Text),
        sa.Column("hashtag_style", sa.String(8)),
        sa.Column("is_on", sa.Boolean),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    columns = ["user_id", "channel_id"]
    op.create_index("ix_metka_tag_rules_scope", "metka_tag_rules", columns, unique=True, if_not_exists=True)
    create_index("ix_metka_tag_rules_channel_id", "metka_tag_rules", ["channel_id"])


def cascade_on_sqlite() -> None:
    """Replace cascades for a parser that opens the file without `foreign_keys` (see revision 0003)."""
    _on_delete("posts", "metka_post_deleted_tags", ["metka_tag_change_posts.post_id", "metka_hand_made_tags.post_id"])
    of_users = ("tag_stems", "tags", "tag_changes", "tag_pairs", "tag_suggestion_runs", "tag_rules")
    change_posts = (
        "DELETE FROM metka_tag_change_posts WHERE change_id IN"
        " (SELECT id FROM metka_tag_changes WHERE user_id = OLD.id);"
    )
    _on_delete("users", "metka_user_deleted_tags", [f"metka_{name}.user_id" for name in of_users], change_posts)
    _on_delete("channels", "metka_channel_deleted_tags", ["metka_tag_rules.channel_id"])


def _on_delete(table: str, trigger: str, references: list[str], first: str = "") -> None:
    pairs = (reference.split(".") for reference in references)
    statements = " ".join(f"DELETE FROM {name} WHERE {column} = OLD.id;" for name, column in pairs)  # noqa: S608
    op.execute(
        f"CREATE TRIGGER IF NOT EXISTS {trigger} AFTER DELETE ON {table} FOR EACH ROW BEGIN {first} {statements} END"
    )


def _user(*, primary_key: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE")
    return sa.Column("user_id", sa.Integer, key, primary_key=primary_key, nullable=False)


def _post() -> sa.Column[int]:
    return sa.Column("post_id", sa.Integer, sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
