"""Posts as an Excel workbook, a row per post, written with constant memory."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xlsxwriter

from services.library.export import ExportedPost

#: Excel's limits: characters of a cell, and rows of a sheet.
MOST_CHARACTERS, MOST_ROWS = 32_767, 1_048_576
#: Bytes of a row besides its text.
ROW_BYTES = 400
WIDTHS = {"channel_title": 24, "url": 30, "posted_at": 17, "text": 80, "tags": 40}


class Workbook:
    """A workbook under way; the file is whole after `close`. `posts`: how many are in it."""

    def __init__(self, path: Path) -> None:
        # Nothing that a post says becomes a formula or a link.
        options = {"constant_memory": True, "tmpdir": str(path.parent), "default_date_format": "yyyy-mm-dd hh:mm"}
        self._book = xlsxwriter.Workbook(str(path), options)
        self._sheet = self._book.add_worksheet("Metka")
        self._sheet.freeze_panes(1, 0)
        self._bytes = self.posts = 0
        for column, field in enumerate(fields(ExportedPost)):
            self._sheet.set_column(column, column, WIDTHS.get(field.name, 12))
            self._sheet.write_string(0, column, field.name)

    def has_room(self, posts: Sequence[ExportedPost], largest: int) -> bool:
        """Whether the file stays below `largest` bytes, even uncompressed, and Excel opens it."""
        return self._bytes + _bytes(posts) <= largest and self.posts + len(posts) < MOST_ROWS

    def add(self, posts: Sequence[ExportedPost]) -> None:
        for post in posts:
            self.posts += 1
            for column, field in enumerate(fields(ExportedPost)):
                self._write(column, getattr(post, field.name))
        self._bytes += _bytes(posts)

    def _write(self, column: int, value: Any) -> None:
        if isinstance(value, datetime):
            # Excel knows no time zones.
            self._sheet.write_datetime(self.posts, column, value.astimezone(UTC).replace(tzinfo=None))
        elif isinstance(value, int) and abs(value) < 10**15:
            self._sheet.write_number(self.posts, column, value)
        elif value is not None:
            text = ", ".join(value) if isinstance(value, list) else str(value)
            storable = text.encode("utf-8", "replace").decode()
            self._sheet.write_string(self.posts, column, storable[:MOST_CHARACTERS])

    def close(self) -> None:
        self._book.close()


def _bytes(posts: Sequence[ExportedPost]) -> int:
    return sum(ROW_BYTES + 4 * (len(post.text or "") + sum(map(len, post.tags))) for post in posts)
