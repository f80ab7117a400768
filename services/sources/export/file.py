"""A file that Telegram Desktop exported: `result.json`, of one chat or of a whole account, read as a stream."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import ijson

from services.sources.base import Delivery, SourceChannel, SourceError, SourcePost
from services.sources.export.damaged_json import MendedExport, NestedTooDeeplyError
from services.sources.export.messages import post_of
from services.sources.export.reader import NotAnExportError, messages_of

MAX_DELIVERY = 500
#: The size and this much of the beginning identify a file.
FINGERPRINT_BYTES = 2**20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ExportFault(StrEnum):
    #: No such file, a folder, or a file without read permission.
    UNREADABLE = "unreadable"
    HTML = "html"
    NOT_JSON = "not_json"
    NOT_EXPORT = "not_export"
    BROKEN = "broken"


class ExportError(SourceError):
    """The file cannot be imported, or not any further."""

    def __init__(self, fault: ExportFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class ExportFile:
    """The messages of an export, chat after chat. `size` and `bytes_read` are 0 before it is read.

    A delivery's position counts all messages of the file so far, skipped ones too.
    """

    def __init__(self, path: Path, *, max_delivery: int = MAX_DELIVERY) -> None:
        self._path = path
        self._max_delivery = max_delivery
        self.size = 0
        self.bytes_read = 0

    async def deliveries(self, position: int = 0) -> AsyncGenerator[Delivery, None]:
        """As `Source.deliveries`; a thread parses.

        Raises:
            ExportError: what is wrong with the file. Everything before the fault was delivered.
        """
        parts = self.read(position)
        while (delivery := await asyncio.to_thread(next, parts, None)) is not None:
            yield delivery

    def read(self, position: int = 0) -> Iterator[Delivery]:
        batch = _Batch(position)
        fault: ExportError | None = None
        with _opened(self._path) as file:
            self.size = self._path.stat().st_size
            try:
                for number, channel, message in _messages(file):
                    if number <= position:
                        continue
                    if batch.channel != channel or number - batch.delivered > self._max_delivery:
                        self.bytes_read = file.tell()
                        yield from batch.take()
                    batch.add(channel, message)
            except NotAnExportError as error:
                fault = ExportError(ExportFault.NOT_EXPORT, f"This is not an export from Telegram Desktop: {error}.")
            except (ijson.JSONError, NestedTooDeeplyError):
                fault = ExportError(ExportFault.BROKEN, _broken(batch.position))
            self.bytes_read = file.tell()
            yield from batch.take()
        if fault is not None:
            raise fault


def _messages(file: BinaryIO) -> Iterator[tuple[int, SourceChannel, Any]]:
    """Each message with its number in the file. After damage the file is read again, mended."""
    start, number = file.tell(), 0
    try:
        for number, (channel, message) in enumerate(messages_of(file), start=1):
            yield number, channel, message
    except ijson.JSONError:
        file.seek(start)
    else:
        return
    for again, (channel, message) in enumerate(messages_of(MendedExport(file)), start=1):
        if again > number:
            yield again, channel, message


class _Batch:
    """Messages of one chat that were read and not delivered yet.

    `position`: messages of the whole file so far; `delivered`: how many of them were delivered or skipped over.
    """

    def __init__(self, position: int) -> None:
        self.channel: SourceChannel | None = None
        self.position = self.delivered = position
        self._posts: list[SourcePost] = []
        self._skipped: Counter[str] = Counter()

    def add(self, channel: SourceChannel, message: object) -> None:
        self.channel = channel
        self.position += 1
        post = post_of(channel, message)
        if isinstance(post, SourcePost):
            self._posts.append(post)
        else:
            self._skipped[post] += 1

    def take(self) -> Iterator[Delivery]:
        if self.channel is not None and self.position > self.delivered:
            delivery = Delivery(self.channel, self._posts, self.position, self._skipped)
            self._posts, self._skipped, self.delivered = [], Counter(), self.position
            yield delivery


def fingerprint(path: Path) -> str:
    """SHA-256 of the file's size and beginning, by which an interrupted import is resumed.

    Raises:
        ExportError: the file cannot be read.
    """
    with _opened(path) as file:
        beginning = file.read(FINGERPRINT_BYTES)
        return hashlib.sha256(b"%d:%b" % (path.stat().st_size, beginning)).hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            _check_beginning(path, file)
            yield file
    except IsADirectoryError:
        raise ExportError(ExportFault.UNREADABLE, f"{path} is a folder: name the file result.json in it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file's name"
        raise ExportError(ExportFault.UNREADABLE, f"{path} cannot be read: {reason}.") from None


def _check_beginning(path: Path, file: BinaryIO) -> None:
    """Refuse Telegram Desktop's other format and files of other kinds; leave the file at the start of its JSON."""
    beginning = file.read(256)
    file.seek(len(_BYTE_ORDER_MARK) if beginning.startswith(_BYTE_ORDER_MARK) else 0)
    beginning = beginning.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if beginning.startswith(b"<"):
        raise ExportError(
            ExportFault.HTML,
            f"{path} is an export as web pages (HTML). Export the chat again as 'Machine-readable JSON'.",
        )
    if not beginning.startswith((b"{", b"[")):
        raise ExportError(ExportFault.NOT_JSON, f"{path} is not JSON: an export's file is named result.json.")


def _broken(read: int) -> str:
    what_to_do = "Export it again, and import that: nothing is stored twice."
    if not read:
        return f"The file is damaged or breaks off before its first message. {what_to_do}"
    return f"The file is damaged or breaks off after {read:,} messages; these are imported. {what_to_do}"
