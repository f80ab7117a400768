"""A copy of an SQLite file beside it, before it is changed."""

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

#: Pages copied between two looks at whether the copy is still wanted.
STEP_PAGES = 2000


class BackupError(Exception):
    """The copy could not be made; the message says which file and why."""


class Backup:
    """A copy in the file `<file name>.bak.part`, until `keep` gives it its name.

    A migration that is killed leaves at most this one file, which the next one replaces: nothing was changed.
    """

    def __init__(self, database_file: Path) -> None:
        self._file = database_file
        self._part = database_file.with_name(f"{database_file.name}.bak.part")
        self._kept: Path | None = None
        self._unwanted = Event()

    def make(self) -> None:
        """Copy the file with SQLite's online backup, or raise BackupError."""
        try:
            self.remove_part()
            os.close(os.open(self._part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._copy()
        except (OSError, sqlite3.Error) as error:
            # A file system that is read-only refuses this, too.
            with suppress(OSError):
                self.remove_part()
            raise BackupError(
                f"no backup of {self._file} could be made, so nothing was changed: {error}. "
                "Make room, or let this user write to the folder, and try again."
            ) from error

    def break_off(self) -> None:
        """`make`, in another thread, ends with BackupError."""
        self._unwanted.set()

    def keep(self, now: datetime) -> Path:
        """Name the copy `<file name>.<timestamp>.bak`."""
        stamp, number = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"), 1
        while self._kept is None:
            suffix = "" if number == 1 else f"-{number}"
            path = self._file.with_name(f"{self._file.name}.{stamp}{suffix}.bak")
            if not path.exists():
                self._kept = self._part.rename(path)
            number += 1
        return self._kept

    def remove_part(self) -> None:
        for path in (self._part, self._part.with_name(f"{self._part.name}-journal")):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        self.remove_part()
        if self._kept is not None:
            self._kept.unlink(missing_ok=True)

    def _copy(self) -> None:
        address = f"{self._file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as original, closing(sqlite3.connect(self._part)) as copy:
            original.backup(copy, pages=STEP_PAGES, progress=self._go_on)
            # One file, without a -wal beside it.
            copy.execute("PRAGMA journal_mode=DELETE")

    def _go_on(self, *_: int) -> None:
        if self._unwanted.is_set():
            raise InterruptedError("it was broken off")
