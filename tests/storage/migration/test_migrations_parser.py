"""The parser beside us: its INSERT, UPDATE and DELETE after the migration, and what the triggers make of them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate
from storage.schema.tables import Attempt, OutboxRow, Post, RetryRun, RetryRunPost
from tests.legacy import LegacyPost, insert_post, make_legacy

NOW = datetime(2026, 11, 24, 6, 23, tzinfo=UTC)
BLANKS = " \n\t\u00a0\u2003"


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[Database]:
    """The parser's database after its migration, with one post: tagged, in the bot's hands, with a history."""
    await make_legacy(database_url, "parser", [LegacyPost("Old text", '["old"]')])
    opened = Database(parse_url(database_url))
    await migrate(opened, now=NOW)
    await execute(
        opened,
        sa.update(Post).values(
            tagging_attempts=3,
            tagging_error="HTTP 500",
            next_attempt_at=NOW,
            work_class=3,
            lease_token="token",
            lease_expires_at=NOW,
            attempt_trail={"requests": 2},
            waits_for_upstream=True,
            failure_kind="exhausted",
            nightly_retries=2,
        ),
    )
    yield opened
    await opened.close()


async def execute(database: Database, *statements: Any) -> None:
    async with database.write() as session:
        for statement in statements:
            await session.execute(sa.text(statement) if isinstance(statement, str) else statement)


async def the_post(database: Database) -> Post:
    async with database.read() as session:
        return (await session.scalars(sa.select(Post))).one()


async def test_the_parser_inserts_only_its_own_columns(shared: Database) -> None:
    """A plain INSERT works, and what it stores is pending, fresh and due at once."""
    await execute(shared, "DELETE FROM posts")
    async with shared.write() as session:
        await insert_post(session, LegacyPost("New"))
        await insert_post(session, LegacyPost("New"))  # duplicates are the parser's own affair
    async with shared.read() as session:
        posts = (await session.scalars(sa.select(Post))).all()
    assert [(post.tagging_status, post.tagging_attempts, post.work_class) for post in posts] == [
        ("pending", 0, None)
    ] * 2
    assert all(post.next_attempt_at is None and post.requested_at is None for post in posts)


async def test_an_edited_text_is_tagged_anew(shared: Database) -> None:
    """A new text makes the post pending as if nothing had been tried; its tags stay until better ones come."""
    await execute(shared, "UPDATE posts SET text = 'New text'")
    post = await the_post(shared)
    assert (post.tagging_status, post.tagging_attempts, post.work_class) == ("pending", 0, 1)
    assert post.tags == ["old"]
    left = (
        post.next_attempt_at,
        post.attempt_trail,
        post.failure_kind,
        post.waits_for_upstream,
        post.nightly_retries,
        post.lease_token,
        post.lease_expires_at,
        post.tagging_error,
    )
    assert left == (None,) * 8
    assert post.requested_at is not None
    assert abs(datetime.now(UTC) - post.requested_at) < timedelta(minutes=1)


async def test_the_time_of_an_edit_has_the_format_of_all_times(shared: Database) -> None:
    """Times compare as text on SQLite, so the trigger's must look like the others."""
    await execute(shared, "UPDATE posts SET text = 'New text'")
    async with shared.read() as session:
        [(value,)] = await session.execute(sa.text("SELECT CAST(requested_at AS VARCHAR(40)) FROM posts"))
    parsed = datetime.fromisoformat(value)
    assert parsed.tzinfo is None
    if shared.is_sqlite:
        assert value == parsed.isoformat(" ", "microseconds")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posts SET text = text, views = 8",
        "UPDATE posts SET views = 8, enriched_content = 'x'",
        """UPDATE posts SET text = 'New text', tags = '["new"]', tagging_status = 'success'""",
        f"UPDATE posts SET text = '{BLANKS}'",
        "UPDATE posts SET text = NULL",
    ],
)
async def test_other_updates_leave_the_post_alone(shared: Database, statement: str) -> None:
    """The same text, other columns, the parser's own new tags, or a text that is gone while tags stay."""
    await execute(shared, statement)
    post = await the_post(shared)
    assert (post.tagging_status, post.tagging_attempts, post.lease_token) == ("success", 3, "token")


@pytest.mark.parametrize("text", ["NULL", "''", f"'{BLANKS}'"])
async def test_a_text_that_is_gone_leaves_nothing_to_tag(shared: Database, text: str) -> None:
    """Without tags and text the post is skipped, and nobody holds it."""
    await execute(shared, "UPDATE posts SET tags = NULL, tagging_status = 'pending'")
    await execute(shared, f"UPDATE posts SET text = {text}")
    post = await the_post(shared)
    assert (post.tagging_status, post.lease_token, post.skipped_at) == ("skipped", None, None)
    await execute(shared, "UPDATE posts SET text = 'Back again'")
    assert (await the_post(shared)).tagging_status == "pending"


async def test_a_persons_skip_outlives_an_edit(shared: Database) -> None:
    """Who pressed Skip does not want the post tagged, whatever it says now."""
    await execute(shared, sa.update(Post).values(tagging_status="skipped", skipped_at=NOW))
    await execute(shared, "UPDATE posts SET text = 'New text'")
    post = await the_post(shared)
    assert (post.tagging_status, post.skipped_at) == ("skipped", NOW)


@pytest.mark.parametrize("tags", ["null", "[]", '{"a": 1}', '["\\u0000"]', '"text"', "3"])
async def test_an_update_never_fails(shared: Database, tags: str) -> None:
    """Whatever JSON stands in the tags, the parser's UPDATE of the text goes through."""
    await execute(shared, sa.text("UPDATE posts SET tags = CAST(:tags AS JSON)").bindparams(tags=tags))
    if shared.is_sqlite:
        await execute(shared, "UPDATE posts SET tags = 'no JSON at all'")
    await execute(shared, "UPDATE posts SET text = 'New text'")
    assert (await the_post(shared)).tagging_status == "pending"
    await execute(shared, "UPDATE posts SET text = NULL")
    assert (await the_post(shared)).text is None


async def test_a_parser_may_change_its_own_table(shared: Database) -> None:
    """Our trigger keeps nobody from altering a column on PostgreSQL, and does no harm when ours are gone."""
    if shared.is_sqlite:
        pytest.skip("SQLite cannot alter a column")
    await execute(
        shared,
        "ALTER TABLE posts ALTER COLUMN text TYPE VARCHAR(5000), ALTER COLUMN tags TYPE JSONB USING tags::jsonb",
        "ALTER TABLE posts DROP COLUMN nightly_retries",
        "UPDATE posts SET text = 'New text'",
    )
    async with shared.read() as session:
        assert await session.scalar(sa.select(Post.text)) == "New text"


async def test_the_parser_deletes_what_it_likes(shared: Database, tmp_path: Path) -> None:
    """A post goes with all that we noted of it, even by a program that has SQLite's foreign keys off."""
    await execute(
        shared,
        sa.insert(RetryRun).values(id=1, telegram_id=42, created_at=NOW),
        sa.insert(RetryRunPost).values(batch_id=1, post_id=1),
        sa.insert(OutboxRow).values(kind="failed", telegram_id=42, post_id=1, created_at=NOW),
        sa.insert(Attempt).values(post_id=1, request_id="r", at=NOW, model_asked="m", outcome="tags", seconds=0.1),
    )
    deletes = ["DELETE FROM posts", "DELETE FROM users", "DELETE FROM channels"]
    if shared.is_sqlite:
        with sqlite3.connect(tmp_path / "metka.db") as connection:
            for statement in deletes:
                connection.execute(statement)
        connection.close()
    else:
        await execute(shared, *deletes)
    async with shared.read() as session:
        for model in (RetryRunPost, OutboxRow, Attempt):
            assert await session.scalar(sa.select(sa.func.count()).select_from(model)) == 0
