"""Statuses of existing posts by their content, not by their column.

The parser's own migration added the column with DEFAULT 'pending' and then looked for NULL, so that in its databases
every post is 'pending', tagged or not. Runs once: later statuses are Metka's.
"""

from __future__ import annotations

from alembic import op

from storage.schema.parser_tables import has_tags, is_blank

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: The order of work of existing posts: after all other work.
BACKFILL = 4


def upgrade() -> None:
    """Set each status by one UPDATE; the conditions exclude each other."""
    dialect = op.get_bind().dialect.name
    tagged, blank = has_tags(dialect), is_blank(dialect)
    untagged = f"NOT {tagged} AND NOT {blank}"
    mark_tagged(tagged)
    mark_blank(f"NOT {tagged} AND {blank}")
    mark_failed(untagged)
    mark_pending(untagged)
    op.execute(
        f"UPDATE posts SET work_class = {BACKFILL} "  # noqa: S608 - constants
        "WHERE work_class IS NULL AND tagging_status IN ('pending', 'retrying')"
    )


def mark_tagged(condition: str) -> None:
    """Posts with tags."""
    op.execute(
        "UPDATE posts SET tagging_status = 'success', tagging_error = NULL "  # noqa: S608 - constants
        f"WHERE {condition} AND (coalesce(tagging_status, '') <> 'success' OR tagging_error IS NOT NULL)"
    )


def mark_blank(condition: str) -> None:
    """Posts without text."""
    op.execute(
        "UPDATE posts SET tagging_status = 'skipped', tagging_error = NULL "  # noqa: S608 - constants
        f"WHERE {condition}"
    )


def mark_failed(condition: str) -> None:
    """Posts whose attempts are used up: later parsers make them 'skipped' and keep the error."""
    op.execute(
        "UPDATE posts SET tagging_status = 'failed', failure_kind = 'exhausted' "  # noqa: S608 - constants
        f"WHERE {condition} AND (tagging_status = 'failed'"
        " OR (tagging_status = 'skipped' AND coalesce(tagging_error, '') <> ''))"
    )


def mark_pending(condition: str) -> None:
    """All other posts with text."""
    op.execute(
        "UPDATE posts SET tagging_status = 'pending' "  # noqa: S608 - constants
        f"WHERE {condition} AND coalesce(tagging_status, '') NOT IN ('pending', 'retrying', 'failed')"
    )
