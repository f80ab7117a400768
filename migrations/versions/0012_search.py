"""The search index: the words of each post, and the posts whose words have to be indexed (again).

Triggers note what any program changes, while `metka_search_state` has its row: without it the index is off. They touch
plain tables only: a parser's SQLite may lack FTS5. As in 0003 they must neither fail a statement of the parser nor keep
it from changing its table.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.missing import create_table
from storage.schema.tables import BigKey

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

#: Columns of a post whose words are indexed.
INDEXED = ("text", "tags", "channel_id", "user_id")
TRIGGERS = ("metka_search_inserted", "metka_search_updated", "metka_search_deleted")


def upgrade() -> None:
    """Create the tables, the index and the triggers."""
    create_table(
        "metka_search_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("indexed_from", sa.BigInteger, nullable=False),
    )
    create_table(
        "metka_search_changes",
        sa.Column("id", BigKey, primary_key=True),
        sa.Column("post_id", sa.BigInteger, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        create_on_sqlite()
    else:
        create_on_postgresql()


def create_on_sqlite() -> None:
    """Words are hexadecimal numbers, one after another: only whether a post has them matters, not where."""
    options = "words, detail=none, columnsize=0, tokenize='ascii'"
    op.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS metka_search USING fts5({options})")
    note = "INSERT INTO metka_search_changes (post_id) SELECT {id} FROM metka_search_state"
    changed = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in INDEXED)
    for name, event, row in (
        ("metka_search_inserted", "INSERT ON posts FOR EACH ROW", "NEW.id"),
        ("metka_search_updated", f"UPDATE OF {', '.join(INDEXED)} ON posts FOR EACH ROW WHEN {changed}", "NEW.id"),
        ("metka_search_deleted", "DELETE ON posts FOR EACH ROW", "OLD.id"),
    ):
        op.execute(f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} BEGIN {note.format(id=row)}; END")


def create_on_postgresql() -> None:
    """Inserted and deleted rows are noted a statement at a time, which is cheap for many."""
    op.execute("CREATE TABLE IF NOT EXISTS metka_search (post_id integer PRIMARY KEY, words integer[] NOT NULL)")
    op.execute("CREATE INDEX IF NOT EXISTS ix_metka_search_words ON metka_search USING gin (words)")
    for name, event, rows in (
        ("metka_search_inserted", "INSERT", "NEW"),
        ("metka_search_deleted", "DELETE", "OLD"),
    ):
        _create_trigger(
            name, "INSERT INTO metka_search_changes (post_id) SELECT p.id FROM changed p, metka_search_state"
        )
        op.execute(
            f"CREATE OR REPLACE TRIGGER {name} AFTER {event} ON posts REFERENCING {rows} TABLE AS changed"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
    _create_trigger(
        "metka_search_updated",
        """
        IF OLD.text IS DISTINCT FROM NEW.text OR OLD.tags::text IS DISTINCT FROM NEW.tags::text
            OR OLD.channel_id IS DISTINCT FROM NEW.channel_id OR OLD.user_id IS DISTINCT FROM NEW.user_id THEN
            INSERT INTO metka_search_changes (post_id) SELECT NEW.id FROM metka_search_state;
        END IF
        """,
    )
    op.execute(
        "CREATE OR REPLACE TRIGGER metka_search_updated AFTER UPDATE ON posts"
        " FOR EACH ROW EXECUTE FUNCTION metka_search_updated()"
    )


def _create_trigger(name: str, body: str) -> None:
    op.get_bind().exec_driver_sql(
        f"""
        CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $metka$
        BEGIN
            {body};
            RETURN NULL;
        EXCEPTION WHEN OTHERS THEN
            -- For instance a role of the parser's that may not write here: the post is not found, and nothing is lost.
            RETURN NULL;
        END
        $metka$
        """
    )


def downgrade() -> None:
    """Drop all of it."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER IF EXISTS {name}" if is_sqlite else f"DROP FUNCTION IF EXISTS {name}() CASCADE")
    for table in ("metka_search", "metka_search_changes", "metka_search_state"):
        op.execute(f"DROP TABLE IF EXISTS {table}")
