"""Triggers that queue a post again when any program changes its text.

They must neither fail a statement of the parser nor keep it from changing its own table. On PostgreSQL the function
therefore compares the columns itself (a trigger OF a column forbids to change the column's type), and after an error
leaves the parser's row unchanged.
"""

from __future__ import annotations

from alembic import op

from storage.schema.parser_tables import has_tags, is_blank

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: `storage.schema.types.UtcDateTime`'s text format: SQLite knows milliseconds, the format microseconds.
SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
POSTGRESQL_NOW = "clock_timestamp() AT TIME ZONE 'UTC'"

#: Columns that an earlier attempt may have set.
CLEARED = (
    "next_attempt_at",
    "attempt_trail",
    "failure_kind",
    "waits_for_upstream",
    "nightly_retries",
    "lease_token",
    "lease_expires_at",
    "tagging_error",
    "skipped_at",
)


def upgrade() -> None:
    """Create the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        create_on_sqlite()
    else:
        create_on_postgresql()


def again(now: str) -> dict[str, str]:
    """The columns of a post that is queued (again); its tags stay until new ones come."""
    return {
        "tagging_status": "'pending'",
        "tagging_attempts": "0",
        "requested_at": now,
        "work_class": "1",
        **dict.fromkeys(CLEARED, "NULL"),
    }


def emptied() -> dict[str, str]:
    """The columns of a post that has lost its text."""
    return {"tagging_status": "'skipped'", "requested_at": "NULL", **dict.fromkeys(CLEARED, "NULL")}


def create_on_sqlite() -> None:
    """Create two triggers; the second replaces cascades for a parser that opens the file without `foreign_keys`.

    Without it a deleted post's rows would stay, and SQLite gives its id to the next post.
    """
    blank, tagged = is_blank("sqlite", "NEW.text"), has_tags("sqlite", "NEW.tags")
    op.execute(
        f"""
        CREATE TRIGGER metka_post_edited AFTER UPDATE OF text ON posts FOR EACH ROW
        WHEN OLD.text IS NOT NEW.text
            AND (OLD.tags IS NEW.tags OR NOT {tagged})
            AND (OLD.skipped_at IS NULL OR OLD.tagging_status IS NOT 'skipped')
        BEGIN
            UPDATE posts SET {_assignments(again(SQLITE_NOW), "=")}
            WHERE id = NEW.id AND NOT {blank};
            UPDATE posts SET {_assignments(emptied(), "=")}
            WHERE id = NEW.id AND {blank} AND NOT {tagged};
        END
        """  # noqa: S608 - constants
    )
    op.execute(
        """
        CREATE TRIGGER metka_post_deleted AFTER DELETE ON posts FOR EACH ROW
        BEGIN
            DELETE FROM metka_attempts WHERE post_id = OLD.id;
            DELETE FROM metka_batch_posts WHERE post_id = OLD.id;
            DELETE FROM metka_outbox WHERE post_id = OLD.id;
        END
        """
    )


def create_on_postgresql() -> None:
    """Create a function and its trigger; foreign keys always cascade here."""
    blank, tagged = is_blank("postgresql", "NEW.text"), has_tags("postgresql", "NEW.tags")
    op.get_bind().exec_driver_sql(
        f"""
        CREATE FUNCTION metka_post_edited() RETURNS trigger LANGUAGE plpgsql AS $metka$
        DECLARE edited record;
        BEGIN
            IF OLD.text IS NOT DISTINCT FROM NEW.text THEN RETURN NEW; END IF;
            edited := NEW;
            IF (OLD.tags::text IS DISTINCT FROM NEW.tags::text AND {tagged})
                OR (OLD.skipped_at IS NOT NULL AND OLD.tagging_status = 'skipped') THEN
                NULL;
            ELSIF NOT {blank} THEN
                {_assignments(again(POSTGRESQL_NOW), ":=", "edited.", ";")};
            ELSIF NOT {tagged} THEN
                {_assignments(emptied(), ":=", "edited.", ";")};
            END IF;
            RETURN edited;
        EXCEPTION WHEN OTHERS THEN
            -- For instance a column that another program has dropped or given another type.
            RETURN NEW;
        END
        $metka$
        """
    )
    op.execute(
        "CREATE TRIGGER metka_post_edited BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION metka_post_edited()"
    )


def _assignments(values: dict[str, str], sign: str, prefix: str = "", separator: str = ",") -> str:
    return f"{separator} ".join(f"{prefix}{column} {sign} {value}" for column, value in values.items())
