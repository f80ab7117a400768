"""Migrations: from each state that a database may be in, on both databases."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from storage.db.engine import Database, parse_url
from storage.migration.inspection import MIGRATIONS, VERSION_TABLE, head_revision, inspect_state, is_current, refusal
from storage.migration.migrate import MigrationError, migrate
from storage.migration.report import describe
from storage.reads.overview import count_tagged_unfinished
from storage.schema.tables import Base, Post
from storage.schema.tag_tables import TagRow
from tests.legacy import SEED_POSTS, LegacyPost, LegacyState, insert_post, make_legacy

NOW = datetime(2026, 11, 24, 6, 23, tzinfo=UTC)


@pytest.fixture
async def fresh(database_url: str) -> AsyncIterator[Database]:
    """A database that nothing was done to."""
    opened = Database(parse_url(database_url))
    yield opened
    await opened.close()


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.read() as session:
        return [tuple(row) for row in await session.execute(sa.text(query))]


async def change(database: Database, *statements: str) -> None:
    async with database.write() as session:
        for statement in statements:
            await session.execute(sa.text(statement))


def backups(folder: Path) -> list[Path]:
    return list(folder.glob("*.bak"))


async def schema(database: Database) -> dict[str, list[str]]:
    def look(connection: Connection) -> dict[str, list[str]]:
        inspector = sa.inspect(connection)
        return {
            table: sorted(str(column["name"]) for column in inspector.get_columns(table))
            for table in inspector.get_table_names()
        }

    async with database.read() as session:
        return await (await session.connection()).run_sync(look)


@pytest.mark.parametrize("state", ["absent", "parser", "parser_with_columns", "ours"])
async def test_every_state_ends_as_ours(fresh: Database, database_url: str, state: LegacyState) -> None:
    """120 posts with tags are 'success', 5 with text and without tags 'pending', blank ones 'skipped'."""
    await make_legacy(database_url, state)
    assert await inspect_state(fresh) == state
    report = await migrate(fresh, now=NOW)
    assert report.state == state
    assert report.changed == (state != "ours")
    assert await inspect_state(fresh) == "ours"
    assert await is_current(fresh)
    if state != "absent":
        assert report.statuses == {"success": 120, "pending": 5, "skipped": 2}
        assert report.with_tags_success == 120
        assert "120 posts with tags: success" in describe(report)
        assert "5 posts with text and without tags: pending" in describe(report)
        # An archive comes after everything else.
        backfill = "SELECT DISTINCT work_class FROM posts WHERE tagging_status = 'pending'"
        assert await rows(fresh, backfill) == [(4,)]


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
async def test_a_fresh_database_is_what_the_models_say(fresh: Database) -> None:
    """No table, column, index or type differs between the revisions and the models."""
    await migrate(fresh, now=NOW)

    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        return list(compare_metadata(context, TagRow.metadata))

    async with fresh.read() as session:
        differences = await (await session.connection()).run_sync(compare)
    # PostgreSQL tells of an expression in words of its own; that it serves is what the tests of plans check.
    expressions = {"ix_metka_posts_due", "ix_metka_posts_queue"}
    # Alembic takes no notice of `ddl_if`.
    # The search index is another kind of table on each database, and no model.
    search = {"metka_search", "ix_metka_search_words"}
    parts = {f"metka_search_{part}" for part in ("data", "idx", "content", "config")}
    allowed = expressions | search | parts | {of_the_other_dialect(fresh)}
    assert [found for found in differences if getattr(found[1], "name", None) not in allowed] == []


def of_the_other_dialect(database: Database) -> str:
    """An index that this database has not."""
    return "ix_metka_posts_user_posted" if database.is_sqlite else "ix_metka_posts_user_tags"


async def test_a_partial_index_is_of_the_rows_that_the_models_say(fresh: Database) -> None:
    await migrate(fresh, now=NOW)
    said = {
        str(index.name): index.info.get("where") for table in Base.metadata.sorted_tables for index in table.indexes
    }
    del said[of_the_other_dialect(fresh)]
    if fresh.is_sqlite:
        made = dict(await rows(fresh, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
        assert {name: made[name].partition(" WHERE ")[2] or None for name in said} == said
    else:
        # PostgreSQL tells of a condition in words of its own.
        made = dict(await rows(fresh, "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
        assert {name for name in said if " WHERE " in made[name]} == {name for name in said if said[name]}


async def test_the_search_index_can_be_taken_back(fresh: Database) -> None:
    """The way down leaves nothing of it, and the way up makes it again."""
    await migrate(fresh, now=NOW)
    before = await schema(fresh)

    def take_back(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.downgrade(config, "0011")

    async with fresh.write() as session:
        await (await session.connection()).run_sync(take_back)
    assert not [table for table in await schema(fresh) if table.startswith("metka_search")]
    await change(fresh, "DELETE FROM posts")
    await migrate(fresh, now=NOW)
    assert await schema(fresh) == before


@pytest.mark.parametrize(
    ("post", "status"),
    [
        (LegacyPost(tags='["a"]', status="failed", error="HTTP 500"), "success"),
        (LegacyPost(tags='["a"]', status=None), "success"),
        (LegacyPost(None, tags='["a"]', status="skipped"), "success"),
        (LegacyPost(None, status="success"), "skipped"),
        (LegacyPost(" \n\t\u00a0\u2003", status="failed", error="empty"), "skipped"),
        (LegacyPost(status="failed", error="HTTP 500"), "failed"),
        (LegacyPost(status="skipped", error="attempts used up"), "failed"),
        (LegacyPost(status="skipped"), "pending"),
        (LegacyPost(status="retrying", error="HTTP 500"), "retrying"),
        (LegacyPost(status="success", tags="[]"), "pending"),
        (LegacyPost(status="success", tags="null"), "pending"),
        (LegacyPost(status="success", tags='{"a": 1}'), "pending"),
        (LegacyPost(status="pending", tags='["\\u0000"]'), "success"),
        (LegacyPost(status=None), "pending"),
        (LegacyPost(status="nonsense"), "pending"),
    ],
)
async def test_a_status_follows_from_what_a_post_holds(
    fresh: Database, database_url: str, post: LegacyPost, status: str
) -> None:
    """Tags, text and the parser's own verdict decide; what its faulty migration wrote does not."""
    await make_legacy(database_url, "parser_with_columns", [post])
    await migrate(fresh, now=NOW)
    [(found, error, kind)] = await rows(fresh, "SELECT tagging_status, tagging_error, failure_kind FROM posts")
    assert found == status
    assert error == (None if status in {"success", "skipped"} else post.error)
    assert kind == ("exhausted" if status == "failed" else None)


async def test_a_second_run_resets_nothing(fresh: Database, database_url: str) -> None:
    """What the bot has done since stands, and the run says that there was nothing to do."""
    await make_legacy(database_url, "parser_with_columns")
    await migrate(fresh, now=NOW)
    await change(
        fresh,
        "UPDATE posts SET tagging_status = 'failed' WHERE id = 121",
        "UPDATE posts SET tagging_status = 'pending' WHERE id = 1",
    )
    report = await migrate(fresh, now=NOW)
    assert not report.changed
    assert report.backup is None
    assert report.statuses == {"success": 119, "pending": 5, "failed": 1, "skipped": 2}
    assert describe(report)[0] == f"Nothing to do: the database is at revision {head_revision()}."


async def test_columns_are_added_one_by_one(fresh: Database, database_url: str) -> None:
    """A database that has only some of the columns gets the others, and the defaults it lacks."""
    await make_legacy(database_url, "parser", SEED_POSTS[-4:])
    await change(fresh, "ALTER TABLE posts ADD COLUMN tagging_status VARCHAR")
    report = await migrate(fresh, now=NOW)
    assert "tagging_status" not in report.columns_added
    assert "tagging_attempts" in report.columns_added
    assert report.statuses == {"pending": 2, "skipped": 2}
    await change(fresh, "DELETE FROM posts")
    async with fresh.write() as session:
        await insert_post(session, LegacyPost())
    expected = None if fresh.is_sqlite else "pending"
    assert await rows(fresh, "SELECT tagging_status, tagging_attempts FROM posts") == [(expected, 0)]


async def test_what_is_unknown_stays_untouched(fresh: Database, database_url: str) -> None:
    """Extra columns and tables, the parser's own alembic_version and its credentials stay."""
    await make_legacy(database_url, "parser_with_columns", [LegacyPost()])
    await change(
        fresh,
        "ALTER TABLE posts ADD COLUMN mood VARCHAR DEFAULT 'calm'",
        "CREATE TABLE alembic_version (version_num VARCHAR(32))",
        "INSERT INTO alembic_version VALUES ('parser1')",
        "CREATE TABLE mine (a INTEGER)",
    )
    before = await schema(fresh)
    await migrate(fresh, now=NOW)
    after = await schema(fresh)
    assert {name: after[name] for name in before if name != "posts"} == {
        name: columns for name, columns in before.items() if name != "posts"
    }
    assert set(before["posts"]) <= set(after["posts"])
    assert await rows(fresh, "SELECT mood FROM posts") == [("calm",)]
    assert await rows(fresh, "SELECT version_num FROM alembic_version") == [("parser1",)]
    assert await rows(fresh, "SELECT api_hash FROM users") == [("secret",)]


async def test_a_failure_leaves_everything_as_it_was(fresh: Database, database_url: str, tmp_path: Path) -> None:
    """Tables, columns and statuses of a migration that fails at its last step are all taken back."""
    await make_legacy(database_url, "parser_with_columns", [LegacyPost(tags='["a"]')])
    await change(fresh, obstacle(fresh))
    before = await schema(fresh)
    with pytest.raises(MigrationError):
        await migrate(fresh, now=NOW)
    assert await schema(fresh) == before
    assert await rows(fresh, "SELECT tagging_status FROM posts") == [("pending",)]
    assert backups(tmp_path) == []


def obstacle(database: Database) -> str:
    """A statement after which the last revision fails: its trigger's name is taken."""
    if database.is_sqlite:
        return "CREATE TRIGGER metka_post_edited AFTER INSERT ON posts BEGIN DELETE FROM posts WHERE id = -1; END"
    return "CREATE FUNCTION metka_post_edited() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"


async def test_another_programs_database_is_refused(fresh: Database) -> None:
    """A table `users` that is not the parser's is not built upon."""
    await change(fresh, "CREATE TABLE users (id INTEGER, login VARCHAR)")
    with pytest.raises(MigrationError, match=r"users is not the parser's \(it lacks .*telegram_id"):
        await migrate(fresh, now=NOW)
    assert set(await schema(fresh)) == {"users"}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_tags_in_an_array_are_refused(fresh: Database, database_url: str) -> None:
    """The parser's tags are JSON: an array column could be neither read nor written, and says so before any change."""
    await make_legacy(database_url, "parser", ())
    await change(fresh, "ALTER TABLE posts ALTER COLUMN tags TYPE text[] USING NULL")
    before = await schema(fresh)
    with pytest.raises(MigrationError, match=r"posts\.tags is an array .* change its type to json"):
        await migrate(fresh, now=NOW)
    assert await schema(fresh) == before


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", ["jsonb", "text"])
async def test_other_types_of_json_are_taken(fresh: Database, database_url: str, kind: str) -> None:
    """As binary JSON, or in a column of text: told apart, read and written."""
    await make_legacy(database_url, "parser")
    await change(fresh, f"ALTER TABLE posts ALTER COLUMN tags TYPE {kind}")
    report = await migrate(fresh, now=NOW)
    assert report.statuses == {"success": 120, "pending": 5, "skipped": 2}
    async with fresh.write() as session:
        await session.execute(sa.update(Post).where(Post.id == 121).values(tags=["новое"]))
    async with fresh.read() as session:
        assert (await session.get_one(Post, 121)).tags == ["новое"]
        assert await count_tagged_unfinished(session, None) == 1


async def test_a_newer_database_is_refused(fresh: Database) -> None:
    await migrate(fresh, now=NOW)
    await change(fresh, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(MigrationError, match=r"of a newer Metka \(revision 9999, .* update Metka") as error:
        await migrate(fresh, now=NOW)
    assert str(error.value) == await refusal(fresh)


@pytest.mark.parametrize("marked_as", ["0010", "0011"])
async def test_a_database_without_a_column_is_refused(fresh: Database, marked_as: str) -> None:
    """Whether revisions are left or not. What the message names mends it."""
    await migrate(fresh, now=NOW)
    await change(
        fresh,
        "ALTER TABLE metka_imports DROP COLUMN position",
        f"UPDATE {VERSION_TABLE} SET version_num = '{marked_as}'",
    )
    with pytest.raises(MigrationError, match=r"lacks metka_imports\.position: a development version") as error:
        await migrate(fresh, now=NOW)
    assert await rows(fresh, f"SELECT version_num FROM {VERSION_TABLE}") == [(marked_as,)]
    await change(fresh, str(error.value).partition("add what is missing: ")[2])
    await migrate(fresh, now=NOW)
    assert await refusal(fresh) is None


async def test_a_database_without_a_table_is_refused(fresh: Database) -> None:
    await migrate(fresh, now=NOW)
    await change(fresh, "DROP TABLE metka_imports")
    said = await refusal(fresh)
    assert said is not None
    assert "lacks the table metka_imports: " in said
    assert said.endswith("Restore a backup from before and migrate that.")


async def test_several_processes_migrate_one_after_another(database_url: str, tmp_path: Path) -> None:
    """Of many that start at once, one migrates and makes a backup; the others find nothing to do."""
    await make_legacy(database_url, "parser_with_columns")
    databases = [Database(parse_url(database_url)) for _ in range(5)]
    try:
        reports = await asyncio.gather(*(migrate(database, now=NOW) for database in databases))
    finally:
        await asyncio.gather(*(database.close() for database in databases))
    assert sorted(report.changed for report in reports) == [False] * 4 + [True]
    assert all(report.statuses["success"] == 120 for report in reports)
    assert len(backups(tmp_path)) == (1 if database_url.startswith("sqlite") else 0)


async def test_several_processes_create_a_database(database_url: str) -> None:
    """The same when there is no database yet."""
    program = (
        "import asyncio, sys\n"
        "from datetime import UTC, datetime\n"
        "from storage.db.engine import Database, parse_url\n"
        "from storage.migration.migrate import migrate\n"
        "async def main():\n"
        "    database = Database(parse_url(sys.argv[1]))\n"
        "    print((await migrate(database, now=datetime.now(UTC))).changed)\n"
        "    await database.close()\n"
        "asyncio.run(main())\n"
    )
    processes = [await start(program, database_url) for _ in range(4)]
    outputs = [await process.communicate() for process in processes]
    assert sorted(out.decode().strip() for out, _ in outputs) == ["False"] * 3 + ["True"], outputs


async def start(program: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-c", program, *arguments, stdout=pipe, stderr=pipe)
