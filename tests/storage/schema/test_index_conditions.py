"""The words of the partial indexes: SQLite uses one only for a query that repeats them."""

from __future__ import annotations

import pytest
from sqlalchemy import text as sql

from storage.db.engine import Database
from storage.schema.index_conditions import (
    DUE_AT,
    PARSER_VERDICT,
    QUEUED,
    REUSABLE,
    TAGGED_UNFINISHED,
    TROUBLED,
    UNCOUNTED,
    UNFINISHED,
    WAITS,
)

CONDITIONS = {
    "ix_metka_posts_due": QUEUED,
    "ix_metka_posts_parser_verdict": PARSER_VERDICT,
    "ix_metka_posts_queue": QUEUED,
    "ix_metka_posts_tagged_unfinished": TAGGED_UNFINISHED,
    "ix_metka_posts_text_key": REUSABLE,
    "ix_metka_posts_troubled": TROUBLED,
    "ix_metka_posts_uncounted": UNCOUNTED,
    "ix_metka_posts_unfinished": UNFINISHED,
    "ix_metka_posts_waits": WAITS,
}


@pytest.fixture
def backend() -> str:
    """It keeps an index's words as they were written."""
    return "sqlite"


async def written(database: Database) -> dict[str, str]:
    """The partial indexes on posts that the revisions leave → how they were created."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'posts' AND sql LIKE '% WHERE %'"
    async with database.read() as session:
        return {name: statement for name, statement in await session.execute(sql(query))}  # noqa: C416 - rows


async def test_the_revisions_say_the_same_as_the_queries(database: Database) -> None:
    """Every partial index, and nothing but its condition."""
    found = {name: statement.split(" WHERE ", 1)[1] for name, statement in (await written(database)).items()}
    assert found == CONDITIONS


async def test_so_does_the_time_that_they_order_by(database: Database) -> None:
    """An index on an expression serves only the same expression."""
    indexes = await written(database)
    assert all(DUE_AT in indexes[name] for name in ("ix_metka_posts_due", "ix_metka_posts_queue"))
