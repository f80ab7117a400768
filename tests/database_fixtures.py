"""Fixtures: a fresh database of each kind to every test, and a migrated one."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate

DEFAULT_POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"


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
    else:
        yield from _postgres_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def migrated_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a migrated database without any row."""
    if backend == "sqlite":
        path = tmp_path / "metka.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgres_server")
        yield from _postgres_database(server, request.getfixturevalue("postgres_template"))


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
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a migrated PostgreSQL database, made once."""
    name = f"metka_template_{uuid4().hex[:12]}"
    run_blocking(lambda: _execute(postgres_server, f"CREATE DATABASE {name}"))
    try:
        run_blocking(lambda: _migrate(_renamed(postgres_server, name)))
        yield name
    finally:
        run_blocking(lambda: _execute(postgres_server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def run_blocking(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in a thread of its own, out of the way of the tests' event loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(work())).result()


def _postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    name = f"metka_test_{uuid4().hex[:12]}"
    run_blocking(lambda: _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield _renamed(server, name)
    finally:
        run_blocking(lambda: _execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _renamed(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        with suppress(OSError):
            await connection.close()


async def _migrate(url: str) -> None:
    database = Database(parse_url(url))
    try:
        await migrate(database, now=datetime(2026, 1, 1, tzinfo=UTC))
    finally:
        await database.close()
