"""A lock on a file beside an SQLite database, which keeps it to one process."""

import fcntl
import os
from pathlib import Path
from typing import Self


class AlreadyRunning(Exception):  # noqa: N818 - what it says is the reason, not a fault
    """Another process holds the lock; the message names the file, and the process if it is known."""

    def __init__(self, path: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"another bot or worker is at work on this database: {who} holds {path}. "
            "Stop it first, or use PostgreSQL to share the work between processes."
        )
        self.path = path
        self.pid = pid


class FileLock:
    """Keeps other processes from the database. The file stays: another process may be opening it."""

    def __init__(self, database_file: Path) -> None:
        self.path = database_file.with_name(f"{database_file.name}.lock")
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """AlreadyRunning: another process has the lock; OSError: the file cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            pid = _read_pid(descriptor)
            os.close(descriptor)
            raise AlreadyRunning(self.path, pid) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read_pid(descriptor: int) -> int | None:
    # Empty for a moment while the other process is starting.
    content = os.pread(descriptor, 32, 0).strip()
    return int(content) if content.isdigit() else None
