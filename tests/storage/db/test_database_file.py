"""An SQLite file that another program deletes or replaces while it is open."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.db.database_file import FileLostError
from storage.db.engine import Database, is_unavailable, parse_url


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.replace(path)


@pytest.mark.parametrize("lose", [delete, replace])
async def test_a_lost_file_is_not_used_any_more(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    """Nothing is read from the old file or written to a new one, and whoever watches is told."""
    path = tmp_path / "metka.db"
    database = Database(parse_url(f"sqlite:///{path}"))
    assert database.file is not None
    try:
        async with database.write() as session:
            await session.execute(text("CREATE TABLE some (id INTEGER)"))
            watch = asyncio.create_task(database.file.until_lost())
        async with database.read(), database.read():
            lose(path)
            before = path.read_bytes() if path.exists() else None
            for session in (database.read(), database.read()):
                with pytest.raises(FileLostError) as error:
                    await session.connection()
                assert is_unavailable(error.value)
                await session.close()
        async with asyncio.timeout(5):
            await watch
    finally:
        await database.close()
    assert (path.read_bytes() if path.exists() else None) == before
