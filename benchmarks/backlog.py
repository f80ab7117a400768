"""A backlog of any size in seconds: rows made by the database itself, its indexes built afterwards."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.databases import USERS
from benchmarks.posts import MARKER_LENGTH
from storage.db.engine import Database, parse_url

#: Half is waiting for a time years ahead, half has failed: nothing to do.
RESTING = "CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'retrying' END, 1, CASE WHEN n % 2 = 1 THEN {later} END"
#: All of it is to be done.
PENDING = "'pending', 0, NULL"

_ADD = (
    "INSERT INTO posts (user_id, channel_id, telegram_message_id, text, posted_at, tagging_status, tagging_attempts, "
    "next_attempt_at) SELECT n % {users} + 1, n % {users} + 1, n, 'Новости, код ' || {marker}, {now}, {state} "
    "FROM ({numbers}) x"
)
#: As `benchmarks.posts.marker`: enough letters for numbers of 32 bits.
_LETTERS = 5
_MARKER = " || ".join(
    [*(f"{{letter}}(97 + n / {26**place} % 26)" for place in range(_LETTERS)), f"'{'a' * (MARKER_LENGTH - _LETTERS)}'"]
)
_SQLITE = {
    "marker": _MARKER.format(letter="char"),
    "numbers": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :posts) SELECT n FROM c",
    "now": "'2026-01-01 00:00:00.000000'",
    "later": "'2046-01-01 00:00:00.000000'",
}
_POSTGRESQL = {
    "marker": _MARKER.format(letter="chr"),
    "numbers": "SELECT CAST(n AS integer) n FROM generate_series(1, CAST(:posts AS integer)) n",
    "now": "now()",
    "later": "now() + interval '20 years'",
}


async def add(url: str, posts: int, state: str) -> None:
    """Add so many posts to a database that has people and channels but no posts; `state` is RESTING or PENDING."""
    database = Database(parse_url(url), statement_seconds=None)
    words = _SQLITE if database.is_sqlite else _POSTGRESQL
    statement = _ADD.format(users=USERS, state=state.format(later=words["later"]), **words)
    try:
        async with database.write() as session:
            put_back = await (_strip_sqlite if database.is_sqlite else _strip_postgresql)(session)
            await session.execute(text(statement), {"posts": posts})
            for each in put_back:
                await (await session.connection()).exec_driver_sql(each)
        async with database.write() as session:
            await session.execute(text("ANALYZE posts"))
    finally:
        await database.close()


async def _strip_sqlite(session: AsyncSession) -> list[str]:
    found = await session.execute(
        text(
            "SELECT type, name, sql FROM sqlite_master "
            "WHERE tbl_name = 'posts' AND type IN ('index', 'trigger') AND sql IS NOT NULL"
        )
    )
    parts = found.all()
    for kind, name, _ in parts:
        await session.execute(text(f"DROP {kind} {name}"))
    return [sql for _, _, sql in parts]


async def _strip_postgresql(session: AsyncSession) -> list[str]:
    found = await session.execute(
        text(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'posts' "
            "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        )
    )
    indexes = found.all()
    await session.execute(text("ALTER TABLE posts DISABLE TRIGGER USER"))
    for name, _ in indexes:
        await session.execute(text(f"DROP INDEX {name}"))
    return [*(definition for _, definition in indexes), "ALTER TABLE posts ENABLE TRIGGER USER"]
