"""The lock that keeps a second bot from an SQLite file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.db.file_lock import AlreadyRunning, FileLock

HOLDER = """
import sys, time
from pathlib import Path
from storage.db.file_lock import FileLock
with FileLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused(tmp_path: Path) -> None:
    """The refusal names the file and the process; afterwards the lock is free again."""
    database = tmp_path / "new" / "metka.db"
    with FileLock(database):
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()} holds .*metka.db.lock"):
            FileLock(database).__enter__()
        assert (tmp_path / "new" / "metka.db.lock").read_text().strip() == str(os.getpid())
    with FileLock(database):
        pass


def test_another_file_is_free(tmp_path: Path) -> None:
    """Each database has its own lock."""
    with FileLock(tmp_path / "one.db"), FileLock(tmp_path / "two.db"):
        pass


def test_a_process_that_is_killed_leaves_the_lock_free(tmp_path: Path) -> None:
    """Nothing has to be cleaned up by hand after a crash."""
    database = tmp_path / "metka.db"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(database)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(AlreadyRunning) as refusal:
            FileLock(database).__enter__()
        assert refusal.value.pid == process.pid
        process.kill()
        process.wait()
    with FileLock(database):
        pass
