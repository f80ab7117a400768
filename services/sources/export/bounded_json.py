"""A JSON file's bytes, bounded: a parser keeps strings and numbers whole in memory, however long they are."""

from __future__ import annotations

import re
from typing import BinaryIO

CHUNK = 64 * 1024
#: Of a longer string (in the file's bytes) only about so much is handed on.
STRING_BYTES = 512 * 1024
#: A number with two or three times as many digits is none of anybody's. (ijson 3.6 makes a NULL of one that Python's
#: `int` refuses, which is from 640 digits on at the strictest setting.)
DIGITS = 200

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TO_QUOTE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
#: What a chunk may begin with of an escape or a character that the one before it began.
_BEGUN = re.compile(rb"[0-9a-fA-F]{0,4}[\x80-\xbf]{0,3}")


class UnboundedError(ValueError):
    """A number goes on and on."""


class BoundedReader:
    """For a parser: `read` gives the file's bytes, with the middle of overlong strings left out.

    Attributes:
        bytes_read: how far it is in the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._in_string = False
        # Of the string that is open: about how much of it came, and whether what comes is left out.
        self._length = 0
        self._dropping = False
        self._refused = False
        self.bytes_read = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, none at the end; how many is not the caller's to say (0: whether these are bytes).

        Raises:
            OSError: the file cannot be read.
            UnboundedError: a number goes on and on.
        """
        while size:
            if self._refused:
                raise UnboundedError("a number is too long")
            chunk = self._chunk()
            kept = self._bounded(chunk)
            if kept or not chunk:
                return kept
        return b""

    def _chunk(self) -> bytes:
        """Ends before an escaped character or after it, never between."""
        chunk = self._file.read(CHUNK)
        if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2:
            chunk += self._file.read(1)
        if self.bytes_read == 0 and chunk.startswith(_BYTE_ORDER_MARK):
            self.bytes_read = len(_BYTE_ORDER_MARK)
            chunk = chunk.removeprefix(_BYTE_ORDER_MARK)
        self.bytes_read += len(chunk)
        return chunk

    def _bounded(self, chunk: bytes) -> bytes:
        quotes = _quotes(chunk)
        if self._in_string and not quotes:
            return self._within_string(chunk)
        if (end := self._long_number(chunk)) is not None:
            self._refused = True
            return chunk[:end]
        if self._dropping:
            chunk = chunk[_end_of_string(chunk) :]
        self._dropping, self._length = False, 0
        self._in_string ^= bool(quotes % 2)
        return chunk

    def _within_string(self, chunk: bytes) -> bytes:
        if self._dropping:
            return b""
        self._length += len(chunk)
        self._dropping = self._length > STRING_BYTES
        return chunk[: _begun(chunk)] if self._dropping else chunk

    def _long_number(self, chunk: bytes) -> int | None:
        """Where in the chunk a number has gone on for too long."""
        for start in range(0, len(chunk) - DIGITS + 1, DIGITS):
            is_long = chunk[start : start + DIGITS].isdigit()
            if is_long and self._in_string == bool(_quotes(chunk[:start]) % 2):
                return start
        return None


def _quotes(chunk: bytes) -> int:
    """How many strings begin or end in it."""
    if b"\\" in chunk:
        chunk = chunk.replace(b"\\\\", b"").replace(b'\\"', b"")
    return chunk.count(b'"')


def _end_of_string(chunk: bytes) -> int:
    found = _TO_QUOTE.match(chunk)
    return found.end() if found else 0


def _begun(chunk: bytes) -> int:
    found = _BEGUN.match(chunk)
    return found.end() if found else 0
