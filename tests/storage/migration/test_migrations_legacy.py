"""What differs between installations: optional columns, required ones, the parser's verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from storage.accounts.people import open_account
from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate
from storage.schema.parser_tables import (
    BLANK_CODES,
    OptionalColumns,
    adopt_parser_verdicts,
    insert_row,
    may_use_clause,
    optional_columns,
)
from storage.schema.tables import Channel, Post, User, UserChannel
from tests.legacy import LegacyPost, make_legacy

NOW = datetime(2026, 11, 24, 6, 23, tzinfo=UTC)


@pytest.fixture
async def parser(database_url: str) -> AsyncIterator[Database]:
    """The parser's database with its optional columns, migrated."""
    posts = [LegacyPost(status="pending"), LegacyPost(None), LegacyPost(), LegacyPost(), LegacyPost()]
    await make_legacy(database_url, "parser_with_columns", posts)
    opened = Database(parse_url(database_url))
    await migrate(opened, now=NOW)
    yield opened
    await opened.close()


def test_blank_is_what_python_calls_blank() -> None:
    """The databases and `str.strip` agree on what is no text."""
    assert [code for code in range(0x110000) if chr(code).isspace()] == list(BLANK_CODES)


async def test_the_parsers_verdicts_are_adopted(parser: Database) -> None:
    """'skipped' with text and an error is 'failed' to us; a person's skip, no text, tags, no error are not."""
    async with parser.write() as session:
        verdict = {"tagging_status": "skipped", "tagging_error": "attempts used up"}
        await session.execute(sa.update(Post).values(**verdict))
        await session.execute(sa.update(Post).where(Post.id == 3).values(skipped_at=NOW))
        await session.execute(sa.update(Post).where(Post.id == 4).values(tags=["a"]))
        await session.execute(sa.update(Post).where(Post.id == 5).values(tagging_error=None))
    async with parser.write() as session:
        assert await adopt_parser_verdicts(session) == 1
        assert await adopt_parser_verdicts(session) == 0
    async with parser.read() as session:
        post = (await session.scalars(sa.select(Post).where(Post.tagging_status == "failed"))).one()
    assert (post.id, post.failure_kind, post.tagging_error) == (1, "exhausted", "attempts used up")


async def test_optional_columns_are_asked_for(parser: Database) -> None:
    """An installation says which it has."""
    async with parser.read() as session:
        found = await optional_columns(session)
    assert found == OptionalColumns(users_is_blocked=True, users_block_expires=True)


async def test_our_own_database_has_none_of_them(database: Database) -> None:
    """Without the columns, only is_active decides."""
    async with database.write() as session:
        columns = await optional_columns(session)
        assert columns == OptionalColumns()
        await open_account(session, 1, name=None, username=None, now=NOW)
        assert await session.scalar(sa.select(User.id).where(may_use_clause(columns, now=NOW))) == 1


@pytest.mark.parametrize(
    ("active", "blocked", "expires", "may"),
    [
        (True, None, None, True),
        (None, False, None, True),
        (False, False, None, False),
        (True, True, None, False),
        (True, True, NOW + timedelta(hours=1), False),
        (True, True, NOW - timedelta(hours=1), True),
        (True, False, NOW + timedelta(hours=1), True),
    ],
)
async def test_who_may_use_the_bot(
    parser: Database, active: bool | None, blocked: bool | None, expires: datetime | None, may: bool
) -> None:
    """Active (unknown counts as active) and not blocked; a block ends when it expires."""
    naive = expires.replace(tzinfo=None) if expires else None
    users = sa.table(
        "users",
        sa.column("is_active", sa.Boolean),
        sa.column("is_blocked", sa.Boolean),
        sa.column("block_expires", sa.DateTime),
    )
    async with parser.write() as session:
        await session.execute(sa.update(users).values(is_active=active, is_blocked=blocked, block_expires=naive))
    async with parser.read() as session:
        columns = await optional_columns(session)
        found = await session.scalar(sa.select(User.id).where(may_use_clause(columns, now=NOW)))
    assert (found is not None) == may


async def test_a_user_is_inserted_whatever_the_table_asks_for(parser: Database) -> None:
    """Unknown columns that must have a value get a neutral one; credentials stay empty."""
    await alter_users(parser)
    async with parser.write() as session:
        user_id = await open_account(session, 2**40, name="N", username="new", now=NOW)
    async with parser.read() as session:
        user = await session.get_one(User, user_id)
        query = "SELECT is_authenticated, failed_auth_attempts, api_id, api_hash FROM users WHERE id = :id"
        [row] = await session.execute(sa.text(query).bindparams(id=user_id))
    assert (user.telegram_id, user.username, user.created_at, user.is_active) == (2**40, "new", NOW, True)
    assert [bool(row[0]), *row[1:]] == [False, 0, None, None]


async def alter_users(database: Database) -> None:
    """NOT NULL columns without a default, of several types, as only PostgreSQL can add them."""
    if database.is_sqlite:
        return
    kinds = ("VARCHAR", "TIMESTAMP", "TIMESTAMPTZ", "DATE", "JSONB", "NUMERIC", "DOUBLE PRECISION", "TEXT[]")
    async with database.write() as session:
        await session.execute(sa.text("DELETE FROM posts"))
        await session.execute(sa.text("DELETE FROM users"))
        for number, kind in enumerate(kinds):
            await session.execute(sa.text(f"ALTER TABLE users ADD COLUMN extra{number} {kind} NOT NULL"))


async def test_any_row_of_the_parsers_can_be_inserted(parser: Database) -> None:
    """Channels, subscriptions and posts too."""
    async with parser.write() as session:
        channel = await insert_row(session, Channel, {"channel_username": "other"}, now=NOW)
        values: dict[str, Any] = {"user_id": 1, "channel_id": channel[0], "is_active": True}
        assert tuple(await insert_row(session, UserChannel, values, now=NOW)) == (1, channel[0])
        post = await insert_row(
            session,
            Post,
            {
                "user_id": 1,
                "channel_id": channel[0],
                "telegram_message_id": 9,
                "text": "t",
                "posted_at": NOW,
                "tags": ["a"],
            },
            now=NOW,
        )
        stored = await session.get_one(Post, post[0])
    assert (stored.posted_at, stored.tags, stored.tagging_status) == (NOW, ["a"], "pending")
