"""A copy of an SQLite file beside it, before it is changed."""

import os
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path


class BackupError(Exception):
    """The copy could not be made; the message says which file and why."""


def back_up(database_file: Path, now: datetime) -> Path:
    """Copy the file to `<file name>.<timestamp>.bak` with SQLite's online backup, or raise BackupError."""
    copy: Path | None = None
    try:
        copy = _new_file(database_file, now)
        _copy(database_file, copy)
    except (OSError, sqlite3.Error) as error:
        if copy:
            copy.unlink(missing_ok=True)
        raise BackupError(
            f"no backup of {database_file} could be made, so nothing was changed: {error}. "
            "Make room, or let this user write to the folder, and try again."
        ) from error
    return copy


def _new_file(database_file: Path, now: datetime) -> Path:
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        path = database_file.with_name(f"{database_file.name}.{stamp}{suffix}.bak")
        try:
            # As private as the original: it holds the parser's credentials.
            mode = stat.S_IMODE(database_file.stat().st_mode)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        except FileExistsError:
            number += 1
        else:
            return path


def _copy(source: Path, target: Path) -> None:
    address = f"{source.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)
        # One file, without a -wal beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
