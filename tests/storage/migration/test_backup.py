"""The copy of an SQLite file that a migration makes first."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from storage.db import sqlite
from storage.db.engine import Database, parse_url
from storage.migration import backup
from storage.migration.inspection import is_current
from storage.migration.migrate import MigrationError, migrate
from storage.migration.report import describe
from tests.legacy import make_legacy

NOW = datetime(2026, 11, 24, 6, 23, tzinfo=UTC)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """The parser's SQLite file, not migrated yet."""
    url = f"sqlite:///{tmp_path / 'metka.db'}"
    await make_legacy(url, "parser_with_columns")
    opened = Database(parse_url(url))
    yield opened
    await opened.close()


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def backups(folder: Path) -> list[Path]:
    return list(folder.glob("*.bak*"))


def companions(file: Path | None) -> list[Path]:
    """The files that SQLite would have beside one in WAL mode."""
    assert file is not None
    return list(file.parent.glob(f"{file.name}-*"))


async def test_a_backup_is_the_database_as_it_was(database: Database, tmp_path: Path) -> None:
    """It is a valid database of one file, equal to the original and private."""
    original = tmp_path / "metka.db"
    original.chmod(0o644)
    before = dump(original)
    report = await migrate(database, now=NOW)
    assert report.backup == tmp_path / "metka.db.20261124T062300Z.bak"
    assert f"Backup: {report.backup}" in describe(report)
    assert not companions(report.backup)
    assert dump(report.backup) == before
    with closing(sqlite3.connect(report.backup)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert report.backup.stat().st_mode & 0o777 == 0o600
    assert dump(original) != before


async def test_a_backup_overwrites_nothing(database: Database, tmp_path: Path) -> None:
    """A name that is taken gets a number."""
    taken = tmp_path / "metka.db.20261124T062300Z.bak"
    taken.write_text("mine")
    report = await migrate(database, now=NOW)
    assert report.backup == tmp_path / "metka.db.20261124T062300Z-2.bak"
    assert taken.read_text() == "mine"


async def test_nothing_is_backed_up_without_need(tmp_path: Path) -> None:
    """A new file has nothing to lose, and one that is current is not changed."""
    database = Database(parse_url(f"sqlite:///{tmp_path / 'metka.db'}"))
    try:
        assert (await migrate(database, now=NOW)).changed
        assert not (await migrate(database, now=NOW)).changed
    finally:
        await database.close()
    assert not backups(tmp_path)


@pytest.mark.parametrize(
    "fault", [OSError(30, "Read-only file system"), sqlite3.OperationalError("database or disk is full")]
)
async def test_without_a_backup_nothing_is_changed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """A full disk or a read-only folder stops the migration, says so, and leaves no half copy."""

    def fail(*_arguments: Any) -> None:
        raise fault

    monkeypatch.setattr(backup.Backup, "_copy", fail)
    before = dump(tmp_path / "metka.db")
    with pytest.raises(MigrationError, match=r"no backup of .*metka\.db could be made, so nothing was changed"):
        await migrate(database, now=NOW)
    assert dump(tmp_path / "metka.db") == before
    assert not backups(tmp_path)
    assert not await is_current(database)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "metka.db"
    sqlite3.connect(path).close()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(backup.BackupError, match=r"metka\.db"):
            backup.Backup(path).make()
    finally:
        tmp_path.chmod(0o700)


async def test_a_migration_waits_longer_than_a_statement_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may be migrating a large archive: the busy timeout is not the end."""
    url = f"sqlite:///{tmp_path / 'metka.db'}"
    await make_legacy(url, "parser")
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 1)
    waiting = Database(parse_url(url))
    with closing(sqlite3.connect(tmp_path / "metka.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(migrate(waiting, now=NOW))
        await asyncio.sleep(1.5)
        assert not task.done()
        other.execute("ROLLBACK")
        assert (await task).changed
    await waiting.close()


async def test_a_commit_that_fails_leaves_everything_as_it_was(database: Database, tmp_path: Path) -> None:
    """A disk may be full only when the changes are written out: the error is ours, and no backup stays."""

    def full(_connection: Any) -> None:
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("database or disk is full"))

    before = dump(tmp_path / "metka.db")
    event.listen(database.engine.sync_engine, "commit", full)
    with pytest.raises(MigrationError, match="disk is full"):
        await migrate(database, now=NOW)
    event.remove(database.engine.sync_engine, "commit", full)
    assert dump(tmp_path / "metka.db") == before
    assert not backups(tmp_path)


async def test_a_copy_that_a_killed_migration_left_is_replaced(database: Database, tmp_path: Path) -> None:
    """However often it is killed there is one such file, and none after a migration that went through."""
    for name in ("metka.db.bak.part", "metka.db.bak.part-journal"):
        (tmp_path / name).write_text("half a copy")
    report = await migrate(database, now=NOW)
    assert backups(tmp_path) == [report.backup]


async def test_a_migration_that_is_broken_off_leaves_everything_as_it_was(database: Database, tmp_path: Path) -> None:
    """The second one goes through."""
    before = dump(tmp_path / "metka.db")

    def break_off(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(("ALTER", "CREATE")):
            task.cancel()

    event.listen(database.engine.sync_engine, "before_cursor_execute", break_off)
    task = asyncio.create_task(migrate(database, now=NOW))
    with pytest.raises(asyncio.CancelledError):
        await task
    event.remove(database.engine.sync_engine, "before_cursor_execute", break_off)
    assert dump(tmp_path / "metka.db") == before
    assert not backups(tmp_path)
    assert (await migrate(database, now=NOW)).changed


def test_a_copy_can_be_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "metka.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE some (id INTEGER)")
    copy = backup.Backup(path)
    copy.break_off()
    with pytest.raises(backup.BackupError, match="broken off"):
        copy.make()
    assert not backups(tmp_path)
