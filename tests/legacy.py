"""Databases as the parser leaves them: the states that a migration starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate

LegacyState = Literal["absent", "parser", "parser_with_columns", "ours"]

USERS = """
CREATE TABLE users (
    id {key}, telegram_id BIGINT UNIQUE NOT NULL, username VARCHAR, first_name VARCHAR, last_name VARCHAR,
    created_at TIMESTAMP, is_active BOOLEAN, retention_days INTEGER, api_id VARCHAR, api_hash TEXT,
    phone_number TEXT, session_file VARCHAR, is_authenticated BOOLEAN NOT NULL, last_auth_check TIMESTAMP,
    auth_error TEXT, auth_session_id VARCHAR, auth_session_expires TIMESTAMP,
    failed_auth_attempts INTEGER NOT NULL, last_auth_attempt TIMESTAMP, is_blocked BOOLEAN,
    block_expires TIMESTAMP)
"""
CHANNELS = """
CREATE TABLE channels (
    id {key}, channel_username VARCHAR UNIQUE NOT NULL, channel_id BIGINT UNIQUE, channel_title VARCHAR,
    created_at TIMESTAMP)
"""
USER_CHANNEL = """
CREATE TABLE user_channel (
    user_id INTEGER REFERENCES users (id) ON DELETE CASCADE,
    channel_id INTEGER REFERENCES channels (id) ON DELETE CASCADE,
    is_active BOOLEAN, created_at TIMESTAMP, last_parsed_at TIMESTAMP, PRIMARY KEY (user_id, channel_id))
"""
POSTS = """
CREATE TABLE posts (
    id {key}, user_id INTEGER NOT NULL REFERENCES users (id),
    channel_id INTEGER NOT NULL REFERENCES channels (id), telegram_message_id BIGINT NOT NULL, text TEXT,
    views INTEGER, url VARCHAR, posted_at TIMESTAMP NOT NULL, parsed_at TIMESTAMP, tags JSON,
    enriched_content TEXT)
"""
TAGGING = (
    "tagging_status VARCHAR DEFAULT 'pending'",
    "tagging_attempts INTEGER DEFAULT 0",
    "last_tagging_attempt TIMESTAMP NULL",
    "tagging_error TEXT NULL",
)
INSERT_POST = """
INSERT INTO posts (user_id, channel_id, telegram_message_id, text, views, url, posted_at, parsed_at, tags)
VALUES (1, 1, {message}, {text}, 7, 'https://t.me/news/1', '2025-10-01 10:00:00', '2025-10-01 10:05:00', {tags})
"""


@dataclass(frozen=True)
class LegacyPost:
    """A row of the parser's: `tags` as JSON text (None: SQL NULL)."""

    text: str | None = "Some text"
    tags: str | None = None
    status: str | None = "pending"
    error: str | None = None


#: The seed's example (two of its posts hold nothing to tag).
SEED_POSTS = (
    *[LegacyPost(f"Tagged {n}", '["news", "economy"]') for n in range(120)],
    *[LegacyPost(f"Untagged {n}", tags) for n, tags in enumerate([None, "null", "[]", None, "null"])],
    LegacyPost(None),
    LegacyPost(" \n\t\u00a0"),
)


async def make_legacy(url: str, state: LegacyState, posts: Sequence[LegacyPost] = SEED_POSTS) -> None:
    """Build one of the four states; 'ours' is the parser's without columns, migrated."""
    if state == "absent":
        return
    database = Database(parse_url(url))
    try:
        async with database.write() as session:
            await _create_tables(session, with_columns=state == "parser_with_columns")
            for number, post in enumerate(posts, start=1):
                await insert_post(session, post, number, with_status=state == "parser_with_columns")
        if state == "ours":
            await migrate(database, now=datetime(2026, 1, 1, tzinfo=UTC))
    finally:
        await database.close()


async def _create_tables(session: AsyncSession, *, with_columns: bool) -> None:
    sqlite = session.get_bind().dialect.name == "sqlite"
    key = "INTEGER PRIMARY KEY" if sqlite else "SERIAL PRIMARY KEY"
    for statement in (USERS, CHANNELS, USER_CHANNEL, POSTS):
        await session.execute(sa.text(statement.format(key=key)))
    for column in TAGGING if with_columns else ():
        await session.execute(sa.text(f"ALTER TABLE posts ADD COLUMN {column}"))
    await session.execute(
        sa.text(
            "INSERT INTO users (telegram_id, username, is_active, api_hash, is_authenticated,"
            " failed_auth_attempts) VALUES (42, 'reader', true, 'secret', true, 0)"
        )
    )
    await session.execute(sa.text("INSERT INTO channels (channel_username, channel_id) VALUES ('news', -100123)"))
    await session.execute(sa.text("INSERT INTO user_channel VALUES (1, 1, true, NULL, NULL)"))


async def insert_post(session: AsyncSession, post: LegacyPost, number: int = 1, *, with_status: bool = False) -> None:
    """Insert a post as the parser does: only its own columns, and its status where it has one."""
    await session.execute(
        sa.text(INSERT_POST.format(message=number, text=_literal(post.text), tags=_literal(post.tags)))
    )
    if with_status:
        await session.execute(
            sa.text(
                f"UPDATE posts SET tagging_status = {_literal(post.status)},"
                f" tagging_error = {_literal(post.error)} WHERE id = (SELECT max(id) FROM posts)"
            )
        )


def _literal(value: str | None) -> str:
    # The colon is text()'s own.
    return "NULL" if value is None else "'" + value.replace("'", "''").replace(":", "\\:") + "'"
