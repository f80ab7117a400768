"""A file that Telegram Desktop exported: `result.json`, of one chat or of a whole account, read as a stream."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from services.sources.base import Delivery, SourceError
from services.sources.export.bounded_json import BoundedReader
from services.sources.export.reader import ExportReader, NotAnExportError

#: Messages of a delivery, at most.
PART = 500
#: So much of the beginning tells a file from others of its size.
FINGERPRINT_BYTES = 2**20


class ExportFault(StrEnum):
    """What is wrong with a file."""

    #: No such file, a folder, or one that may not be read.
    UNREADABLE = "unreadable"
    #: The export as web pages.
    HTML = "html"
    #: No JSON at all.
    NOT_JSON = "not_json"
    #: JSON, but no export of chats.
    NOT_EXPORT = "not_export"
    #: It breaks off, or is damaged.
    BROKEN = "broken"


class ExportError(SourceError):
    """The file cannot be imported, or not any further."""

    def __init__(self, fault: ExportFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class ExportFile:
    """The messages of an export, chat after chat.

    A delivery's position is how many messages of the whole file came so far, those that were left out among them.

    Attributes:
        size: of the file, in bytes; 0 before it is read.
    """

    def __init__(self, path: Path, *, part: int = PART) -> None:
        """`part`: messages of a delivery at most."""
        self._path = path
        self._part = part
        self._reader: BoundedReader | None = None
        self.size = 0

    @property
    def bytes_read(self) -> int:
        """How far it is in the file."""
        return self._reader.bytes_read if self._reader else 0

    async def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        """As `Source.deliveries`; each is parsed in a thread, while the event loop goes on.

        Raises:
            ExportError: what is wrong with the file; what came before it was right.
        """
        parts = self.read(position)
        while (delivery := await asyncio.to_thread(next, parts, None)) is not None:
            yield delivery

    def read(self, position: int = 0) -> Iterator[Delivery]:
        """The same in this thread."""
        from ijson.backends import yajl2_c  # noqa: PLC0415 - for those who import

        with _opened(self._path) as file:
            self.size = self._path.stat().st_size
            self._reader = BoundedReader(file)
            yield from _checked(ExportReader(yajl2_c.basic_parse(self._reader), position, self._part))


def fingerprint(path: Path) -> str:
    """By which a file is known again: SHA-256 of its size and its beginning.

    Raises:
        ExportError: it cannot be read.
    """
    with _opened(path) as file:
        beginning = file.read(FINGERPRINT_BYTES)
        return hashlib.sha256(b"%d:%b" % (path.stat().st_size, beginning)).hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb", buffering=0) as file:
            _sniff(path, file)
            yield cast("BinaryIO", file)
    except IsADirectoryError:
        raise ExportError(ExportFault.UNREADABLE, f"{path} is a folder: name the file result.json in it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file's name"
        raise ExportError(ExportFault.UNREADABLE, f"{path} cannot be read: {reason}.") from None


def _sniff(path: Path, file: BinaryIO) -> None:
    """Telegram Desktop's other format, and what is obviously something else."""
    beginning = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    if beginning.startswith(b"<"):
        raise ExportError(
            ExportFault.HTML,
            f"{path} is an export as web pages (HTML). Export the chat again as 'Machine-readable JSON'.",
        )
    if not beginning.startswith((b"{", b"[")):
        raise ExportError(ExportFault.NOT_JSON, f"{path} is not JSON: an export's file is named result.json.")


def _checked(reader: ExportReader) -> Iterator[Delivery]:
    """The deliveries; before what is broken all that came before it."""
    from ijson.common import JSONError  # noqa: PLC0415

    try:
        yield from reader.deliveries()
        return
    except NotAnExportError as error:
        fault = ExportError(ExportFault.NOT_EXPORT, f"This is not an export from Telegram Desktop: {error}.")
    # The last two are raised by numbers that nothing holds.
    except (JSONError, ValueError, ArithmeticError):
        fault = ExportError(ExportFault.BROKEN, _broken(reader.consumed))
    if (last := reader.rest()) is not None:
        yield last
    raise fault


def _broken(consumed: int) -> str:
    what_to_do = "Export it again, and import that: nothing is stored twice."
    if not consumed:
        return f"The file is damaged or breaks off before its first message. {what_to_do}"
    return f"The file is damaged or breaks off after {consumed:,} messages; these are imported. {what_to_do}"
