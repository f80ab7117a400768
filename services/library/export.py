"""A user's posts as CSV or JSON Lines: a row per post, the newest first."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic_core import to_json

from services.library.cursor import OLDEST
from storage.accounts import people
from storage.db.engine import Database
from storage.posts import channel_posts
from storage.reads import lists
from storage.schema.types import as_text, as_whole

PAGE = 200
#: Excel recognises UTF-8 by it.
BOM = "\ufeff".encode()
#: Spreadsheets take a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """The values are also the file extensions."""

    CSV = "csv"
    JSONL = "jsonl"
    #: Made by `services.library.workbook`, not from the chunks here.
    XLSX = "xlsx"


@dataclass(slots=True)
class ExportedPost:
    """A post as exports and feeds show it. The fields are the columns of an export."""

    id: int
    channel_username: str | None
    channel_title: str | None
    telegram_message_id: int | None
    url: str | None
    posted_at: datetime | None
    text: str | None
    tags: list[str]
    status: str
    views: int | None


@dataclass(frozen=True, slots=True)
class ExportChunk:
    data: bytes
    posts: int


class Exporter:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def user_of(self, telegram_id: int) -> int | None:
        async with self._database.read() as session:
            return await people.user_id_of(session, telegram_id)

    async def chunks(
        self, user_id: int, form: ExportFormat, *, tagged_only: bool = True
    ) -> AsyncGenerator[ExportChunk, None]:
        """The rows without `heading`. No transaction is open between two chunks."""
        async with aclosing(self._pages(user_id)) as pages:
            async for page in pages:
                posts = [post for post in page if post.tags or not tagged_only]
                yield ExportChunk(await asyncio.to_thread(_rows, form, posts), len(posts))

    async def tagged_pages(self, user_id: int) -> AsyncGenerator[list[ExportedPost], None]:
        async with aclosing(self._pages(user_id)) as pages:
            async for page in pages:
                yield [post for post in page if post.tags]

    async def _pages(self, user_id: int) -> AsyncGenerator[list[ExportedPost], None]:
        before: tuple[datetime, int] | None = None
        while True:
            async with self._database.read() as session:
                rows = await lists.told_posts(session, user_id, before, PAGE)
            yield [exported_post(row) for row in rows]
            if len(rows) < PAGE:
                return
            before = rows[-1].posted_at or OLDEST, rows[-1].id


def exported_post(row: Any) -> ExportedPost:
    """PURE: a row as a post; values of types that another program stored are made showable."""
    name = (as_text(row.channel_username) or "").lstrip("@")
    number = channel_posts.full_number(as_whole(row.channel_id))
    return ExportedPost(
        id=row.id,
        channel_username=None if number is not None and name == channel_posts.nameless(number) else name or None,
        channel_title=as_text(row.channel_title),
        telegram_message_id=as_whole(row.telegram_message_id),
        url=as_text(row.url),
        posted_at=row.posted_at,
        text=as_text(row.text),
        tags=row.tags,
        status=as_text(row.tagging_status) or "pending",
        views=as_whole(row.views),
    )


def heading(form: ExportFormat, *, bom: bool = False) -> bytes:
    """PURE: what precedes the rows. `bom`: for a file, which may be opened in Excel."""
    if form is ExportFormat.JSONL:
        return b""
    return (BOM if bom else b"") + _csv([[field.name for field in fields(ExportedPost)]])


def _rows(form: ExportFormat, posts: Sequence[ExportedPost]) -> bytes:
    if form is ExportFormat.JSONL:
        return b"".join(to_json(post) + b"\n" for post in posts)
    return _csv([list(_cells(post)) for post in posts])


def _cells(post: ExportedPost) -> Iterator[str]:
    """A CSV row; an apostrophe keeps a spreadsheet from reading a cell as a formula."""
    for field in fields(post):
        cell = _cell(getattr(post, field.name))
        yield f"'{cell}" if cell.startswith(FORMULA) else cell


def _cell(value: str | int | datetime | list[str] | None) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return ", ".join(value)
    # CSV readers take NUL for the end of the file.
    return "" if value is None else str(value).replace("\x00", "")


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    return written.getvalue().encode("utf-8", "replace")
