"""A user's posts out again, as CSV or JSON Lines: one row a post, the newest first."""

from __future__ import annotations

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

from services.library.lists import OLDEST
from storage.accounts import people
from storage.db.engine import Database
from storage.posts import channel_posts
from storage.reads import lists
from storage.schema.types import as_text, as_whole

#: Posts that are read at once.
PAGE = 200
#: By it Excel knows that a file is UTF-8.
BOM = "\ufeff".encode()
#: What a spreadsheet takes for a formula, at the beginning of a cell.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Form(StrEnum):
    """What the rows are written as; also the file's ending."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(slots=True)
class ToldPost:
    """What is told of a post outside. The fields are an export's columns."""

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
class Block:
    """A part of an export, of whole rows."""

    data: bytes
    posts: int


class Exporting:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user_of(self, telegram_id: int) -> int | None:
        """The users.id of a Telegram id; None: there is no such user."""
        async with self._database.read() as session:
            return await people.user_id_of(session, telegram_id)

    async def blocks(self, user_id: int, form: Form, *, tagged_only: bool = True) -> AsyncGenerator[Block, None]:
        """The rows, part by part; without `heading`. Between the parts no transaction is open."""
        async with aclosing(self._pages(user_id)) as pages:
            async for page in pages:
                posts = [post for post in page if post.tags or not tagged_only]
                # In a thread: the process has other things to do at the same time.
                yield Block(await asyncio.to_thread(_written, form, posts), len(posts))

    async def _pages(self, user_id: int) -> AsyncGenerator[list[ToldPost], None]:
        before: tuple[datetime, int] | None = None
        while True:
            async with self._database.read() as session:
                rows = await lists.told_posts(session, user_id, before, PAGE)
            yield [told(row) for row in rows]
            if len(rows) < PAGE:
                return
            before = rows[-1].posted_at or OLDEST, rows[-1].id


def told(row: Any) -> ToldPost:
    """PURE: what can be shown of a row, whatever another program has put there."""
    name = (as_text(row.channel_username) or "").lstrip("@")
    number = channel_posts.full_number(as_whole(row.channel_id))
    return ToldPost(
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


def heading(form: Form, *, bom: bool = False) -> bytes:
    """PURE: what stands before the rows. `bom`: it is a file's, which Excel may open."""
    if form is Form.JSONL:
        return b""
    return (BOM if bom else b"") + _csv([[field.name for field in fields(ToldPost)]])


def _written(form: Form, posts: Sequence[ToldPost]) -> bytes:
    if form is Form.JSONL:
        return b"".join(to_json(post) + b"\n" for post in posts)
    return _csv([list(_cells(post)) for post in posts])


def _cells(post: ToldPost) -> Iterator[str]:
    """A row of CSV; what a spreadsheet would take for a formula is made text by an apostrophe before it."""
    for field in fields(post):
        cell = _cell(getattr(post, field.name))
        yield f"'{cell}" if cell.startswith(FORMULA) else cell


def _cell(value: str | int | datetime | list[str] | None) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return ", ".join(value)
    # Programs that read CSV take NUL for its end.
    return "" if value is None else str(value).replace("\x00", "")


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    return written.getvalue().encode("utf-8", "replace")
