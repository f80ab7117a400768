"""A million posts of a thousand users, made inside the database: a few statements, and no post passes through Python.

One user has 100,000 posts and five have 20,000; the others have some 800 each. A user's posts lie apart in the table,
as in life. 97 % have tags. The texts of pending posts differ, so that each takes a request.

    python -m benchmarks.million_rows URL
"""

from __future__ import annotations

import asyncio
import json
import sys
from random import Random

from sqlalchemy import bindparam, insert
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.posts import text_of
from services.clock import utc_now
from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate
from storage.schema.tables import Channel, User, UserChannel
from storage.schema.types import UtcDateTime

POSTS, USERS, CHANNELS = 1_000_000, 1000, 3000
#: The user with 100,000 posts, and some of those with 800.
BIGGEST, ORDINARY = 1, (100, 350, 600, 850)
#: A million posts are a year's.
SECONDS_APART = 31
#: Different tags, posts' lists of tags, and texts.
WORDS, WAYS, TEXTS = 2000, 19_997, 499

_POSTS = """
INSERT INTO posts (id, user_id, channel_id, telegram_message_id, text, url, views, posted_at, parsed_at, tags,
    tagging_status, tagging_attempts, last_tagging_attempt, tagging_error, next_attempt_at, work_class, failure_kind)
SELECT n, owner, (owner * 3 + n / 10 % CASE WHEN owner < 7 THEN 200 ELSE 10 END) % 3000 + 1, n,
    CASE WHEN status = 'pending' THEN text.value || ' ' || n ELSE text.value END,
    'https://t.me/c/' || n, n % 5000, {posted}, {posted},
    CASE WHEN part < 970 THEN {tags} END, status,
    CASE WHEN status IN ('pending', 'skipped') THEN 0 WHEN status = 'failed' THEN 5 ELSE 1 END,
    CASE WHEN status IN ('success', 'failed', 'retrying') THEN {posted} END,
    CASE WHEN status IN ('failed', 'retrying') THEN 'HTTP 503 from the provider' END,
    CASE WHEN status = 'retrying' THEN {later} END,
    CASE WHEN status = 'retrying' THEN 2 WHEN status = 'pending' THEN 1 END,
    CASE WHEN status = 'failed' THEN 'exhausted' END
FROM (
    SELECT n, part,
        CASE WHEN n % 10 = 0 THEN 1 WHEN n % 10 = 5 THEN 2 + n / 10 % 5 ELSE 7 + n % 7919 * 131 % 994 END AS owner,
        CASE WHEN part < 970 THEN 'success' WHEN part < 980 THEN 'failed' WHEN part < 985 THEN 'retrying'
            WHEN part < 990 THEN 'pending' ELSE 'skipped' END AS status
    FROM (SELECT n, n % 100003 * 4871 % 100003 % 1000 AS part FROM {numbers} AS numbered) AS parted
) AS post
JOIN piece AS text ON text.kind = 'text' AND text.number = n % 499
JOIN piece AS tags ON tags.kind = 'tags' AND tags.number = n % 19997
"""
#: Attempts are kept for 30 days: there are those of so many of the latest posts.
_ATTEMPTS = """
INSERT INTO metka_attempts (post_id, request_id, at, model_asked, model_answered, outcome, http_status, seconds,
    prompt_tokens, completion_tokens, ended)
SELECT n, 'request ' || n, {posted}, 'google/gemini-2.0-flash-exp:free', 'google/gemini-2.0-flash-exp:free',
    CASE WHEN n % 10 = 0 THEN 'server_error' ELSE 'tagged' END, CASE WHEN n % 10 = 0 THEN 503 ELSE 200 END, 1.5,
    300, 40, CASE WHEN n % 10 = 0 THEN 'retrying' ELSE 'tagged' END
FROM {numbers} AS numbered WHERE n > :last - 80000
"""
#: Messages of the last posts: 200 of them wait to be sent.
_OUTBOX = """
INSERT INTO metka_outbox (kind, telegram_id, post_id, created_at, ready_at, done_at)
SELECT 'failed', 1001 + n % 1000, n, {posted}, {posted}, CASE WHEN n <= :last - 200 THEN {posted} END
FROM {numbers} AS numbered WHERE n > :last - 50000
"""
_DIALECTS = {
    "sqlite": {
        "numbers": "(WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < :last)"
        " SELECT n FROM count)",
        "posted": f"strftime('%Y-%m-%d %H:%M:%f000', :now, '-' || ((:last - n) * {SECONDS_APART} + 9) || ' seconds')",
        "later": "strftime('%Y-%m-%d %H:%M:%f000', :now, (n % 7200 + 3600) || ' seconds')",
        "tags": "tags.value",
        "hindering": "SELECT 'DROP INDEX ' || name, sql FROM sqlite_master"
        " WHERE tbl_name = 'posts' AND name LIKE 'ix_metka%'",
    },
    "postgresql": {
        "numbers": "(SELECT n FROM generate_series(1, :last) AS numbers(n))",
        "posted": f":now - make_interval(secs => (:last - n) * {SECONDS_APART} + 9)",
        "later": ":now + make_interval(secs => n % 7200 + 3600)",
        "tags": "CAST(tags.value AS json)",
        # References are checked row by row, and all at once when they are made.
        "hindering": "SELECT 'DROP INDEX ' || indexname, indexdef"
        " FROM pg_indexes WHERE indexname LIKE 'ix_metka_posts_%'"
        " UNION ALL SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),"
        " format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))"
        " FROM pg_constraint WHERE contype = 'f' AND conrelid IN"
        " ('posts'::regclass, 'metka_attempts'::regclass, 'metka_outbox'::regclass)",
    },
}


async def main(url: str) -> None:
    """Fill an empty database, where a statement may take as long as it takes."""
    database = Database(parse_url(url), statement_seconds=None)
    await fill(database)
    await database.close()


async def fill(database: Database, posts: int = POSTS) -> None:
    """Migrate an empty database and fill it."""
    await migrate(database, now=utc_now())
    words = _DIALECTS[database.engine.dialect.name]
    async with database.write() as session:
        await _people(session)
        await _pieces(session)
        # Made anew afterwards: that is many times quicker than to keep them up to date.
        connection = await session.connection()
        hindering = (await session.execute(sql(words["hindering"]))).all()
        for removal, _ in hindering:
            await connection.exec_driver_sql(removal)
        for statement in (_POSTS, _ATTEMPTS, _OUTBOX):
            given = sql(statement.format(**words)).bindparams(bindparam("now", utc_now(), UtcDateTime), last=posts)
            await session.execute(given)
        for _, definition in hindering:
            await connection.exec_driver_sql(definition)
        await session.execute(sql("DROP TABLE piece"))
    await _settle_down(database)


async def _settle_down(database: Database) -> None:
    """What PostgreSQL's autovacuum does within minutes; SQLite's file goes on from an empty WAL."""
    async with database.engine.connect() as connection:
        if database.is_sqlite:
            await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("VACUUM ANALYZE")
            await connection.exec_driver_sql("SELECT setval('posts_id_seq', (SELECT max(id) FROM posts))")


async def _people(session: AsyncSession) -> None:
    now, users = utc_now(), range(1, USERS + 1)
    people = [{"id": n, "telegram_id": 1000 + n, "first_name": f"U{n}", "created_at": now} for n in users]
    await session.execute(insert(User), people)
    numbers = range(1, CHANNELS + 1)
    channels = [{"id": n, "channel_username": f"channel{n}", "channel_title": f"Channel {n}"} for n in numbers]
    await session.execute(insert(Channel), channels)
    follows = [{"user_id": n, "channel_id": (n * 3 + k) % CHANNELS + 1} for n in users for k in range(10)]
    await session.execute(insert(UserChannel), follows)


async def _pieces(session: AsyncSession) -> None:
    """Texts and lists of tags to choose from, each as the product would store it."""
    await session.execute(sql("CREATE TABLE piece (kind text, number integer, value text, PRIMARY KEY (kind, number))"))
    random = Random(1)
    words = [f"тема {n}" for n in range(WORDS)]
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    values = {
        "tags": [json.dumps(_some(words, random), ensure_ascii=not is_sqlite) for _ in range(WAYS)],
        "text": [text_of(n)[: random.randint(40, 500)] for n in range(TEXTS)],
    }
    rows = [{"kind": kind, "number": n, "value": value} for kind in values for n, value in enumerate(values[kind])]
    await session.execute(sql("INSERT INTO piece VALUES (:kind, :number, :value)"), rows)


def _some(words: list[str], random: Random) -> list[str]:
    """Five tags, of which some are far more frequent than others."""
    return [words[int(len(words) * random.random() ** 3)] for _ in range(5)]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
