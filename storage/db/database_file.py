"""Whether an SQLite file is still the one that was opened: otherwise what is written goes where nobody will look."""

import asyncio
from contextlib import suppress
from pathlib import Path

WATCH_SECONDS = 10.0


class FileLostError(OSError):
    """The file was deleted or replaced while it was open."""


class DatabaseFile:
    """The file behind an engine. `opened` is called once it has been opened, `check` before each use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: tuple[int, int] | None = None
        self._lost = asyncio.Event()

    def opened(self) -> None:
        if self._opened is None:
            self._opened = _identity(self.path)

    def check(self) -> None:
        """Raises FileLostError."""
        if self._opened is not None and _identity(self.path) != self._opened:
            self._lost.set()
            raise FileLostError(f"{self.path} was deleted or replaced")

    async def until_lost(self) -> None:
        """Return when a check has failed; make one every WATCH_SECONDS."""
        while not self._lost.is_set():
            with suppress(OSError):
                self.check()
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._lost.wait()


def _identity(path: Path) -> tuple[int, int] | None:
    """None: there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
