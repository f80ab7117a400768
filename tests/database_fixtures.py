"""Fixtures: an empty database of each kind, without tables or migrated, for every test.

SQLite files are copied. PostgreSQL databases take longer to make: each pytest process keeps one and empties it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from storage.db.engine import Database, parse_url
from storage.migration.inspection import VERSION_TABLE
from storage.migration.migrate import migrate

DEFAULT_POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"

#: Killed processes may have left connections, whose locks nothing must wait for.
#: Posts go first: the rows they refer to may not go before.
EMPTY = f"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    DO $$
    DECLARE name text;
    BEGIN
        FOR name IN
            SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> '{VERSION_TABLE}'
            ORDER BY tablename <> 'posts'
        LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
        PERFORM setval(oid, 1, false) FROM pg_class WHERE relkind = 'S';
    END $$
"""
#: Differs after a change of a table, index, trigger or planner statistics, and after 16 MB (2 ** 24) of growth.
SCHEMA = """
    SELECT concat_ws(
        ' ',
        (SELECT (count(*), max(xmin::text::bigint)) FROM pg_class),
        (SELECT (count(*), max(xmin::text::bigint)) FROM pg_attribute),
        (SELECT (count(*), max(xmin::text::bigint)) FROM pg_depend),
        (SELECT count(*) FROM pg_stats WHERE schemaname = 'public'),
        pg_database_size(current_database()) >> 24
    )
"""

Value = TypeVar("Value")


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database: every test that asks for one runs on both."""
    return cast("str", request.param)


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The address of a PostgreSQL server where databases may be created; without one, a skip (in CI: a failure)."""
    address = os.environ.get("METKA_TEST_POSTGRES", DEFAULT_POSTGRES)
    try:
        run_blocking(lambda: _execute(address, "SELECT 1"))
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        message = f"no PostgreSQL at METKA_TEST_POSTGRES ({make_url(address).host}): {error}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return address


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database without any table."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'metka.db'}"
        return
    server = request.getfixturevalue("postgres_server")
    name = _create(server)
    yield _renamed(server, name)
    _drop(server, name)


@pytest.fixture
def migrated_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a migrated database without any row."""
    if backend == "sqlite":
        path = tmp_path / "metka.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    kept: KeptDatabase = request.getfixturevalue("kept_database")
    yield kept.url()
    kept.empty()


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """A migrated database without any row."""
    opened = Database(parse_url(migrated_url))
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, made once."""
    path = tmp_path_factory.mktemp("template") / "metka.db"
    run_blocking(lambda: _migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def kept_database(postgres_server: str) -> Iterator[KeptDatabase]:
    """The PostgreSQL database of this pytest process."""
    template = _create(postgres_server)
    run_blocking(lambda: _migrate(_renamed(postgres_server, template)))
    kept = KeptDatabase(postgres_server, template)
    yield kept
    kept.drop()
    _drop(postgres_server, template)


class KeptDatabase:
    """A migrated PostgreSQL database that is emptied after each test, and replaced when a test changed its schema."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._name = ""
        self._schema = ""

    def url(self) -> str:
        """The address of the database, which is empty."""
        if not self._name:
            self._name = _create(self._server, self._template)
            self._schema = run_blocking(self._schema_now)
        return self._url

    def empty(self) -> None:
        """Delete every row and start the sequences again."""
        if run_blocking(self._schema_now) == self._schema:
            run_blocking(lambda: _execute(self._url, EMPTY))
        else:
            self.drop()

    def drop(self) -> None:
        """Drop the database; `url` makes the next one."""
        if self._name:
            _drop(self._server, self._name)
            self._name = ""

    async def _schema_now(self) -> str:
        async with _connected(self._url) as connection:
            return cast("str", await connection.fetchval(SCHEMA))

    @property
    def _url(self) -> str:
        return _renamed(self._server, self._name)


def run_blocking(work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
    """Run a coroutine in a thread of its own, out of the way of the tests' event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def _create(server: str, template: str = "template1") -> str:
    name = f"metka_test_{uuid4().hex[:12]}"
    run_blocking(lambda: _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    return name


def _drop(server: str, name: str) -> None:
    run_blocking(lambda: _execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _renamed(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def _execute(url: str, statements: str) -> None:
    async with _connected(url) as connection:
        await connection.execute(statements)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        with suppress(OSError):
            await connection.close()


async def _migrate(url: str) -> None:
    database = Database(parse_url(url))
    try:
        await migrate(database, now=datetime(2026, 1, 1, tzinfo=UTC))
    finally:
        await database.close()
