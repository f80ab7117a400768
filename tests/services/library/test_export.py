"""A user's posts as CSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from services.library.export import PAGE, Exporter, ExportFormat, heading
from storage.db.engine import Database
from storage.schema.tables import Channel, Post
from tests.storage.rows import NOW, add_posts, add_user

TAGGED: dict[str, Any] = {"tagging_status": "success", "tags": ["город", "новости"]}


async def exported(database: Database, form: ExportFormat, *, tagged_only: bool = True) -> str:
    data = heading(form)
    async with aclosing(Exporter(database).chunks(1, form, tagged_only=tagged_only)) as blocks:
        async for block in blocks:
            data += block.data
    return data.decode()


@pytest.fixture(autouse=True)
async def _filled(database: Database) -> None:
    """Posts 1 and 2 with tags, 3 without, and another user's."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 2, **TAGGED, views=7, url="https://t.me/channel1/1")
        await add_posts(session, 1, 1, first=3)
        await add_posts(session, 2, 1, first=11, **TAGGED)


async def test_rows_as_documented(database: Database) -> None:
    rows = list(csv.reader(io.StringIO(await exported(database, ExportFormat.CSV))))
    columns = "id channel_username channel_title telegram_message_id url posted_at text tags status views"
    assert rows[0] == columns.split()
    text, url = "Пост номер 2 о новостях города", "https://t.me/channel1/1"
    assert rows[1] == [
        *("2", "channel1", "Channel 1", "2", url, "2026-01-01T12:02:00Z", text, "город, новости", "success", "7")
    ]
    assert [row[0] for row in rows[1:]] == ["2", "1"]
    lines = [json.loads(line) for line in (await exported(database, ExportFormat.JSONL)).splitlines()]
    assert list(lines[0]) == columns.split()
    assert (lines[0]["tags"], lines[0]["posted_at"]) == (["город", "новости"], "2026-01-01T12:02:00Z")


async def test_posts_without_tags_on_wish(database: Database) -> None:
    lines = (await exported(database, ExportFormat.JSONL, tagged_only=False)).splitlines()
    assert [(post["id"], post["status"]) for post in map(json.loads, lines)] == [
        (3, "pending"),
        (2, "success"),
        (1, "success"),
    ]


@pytest.mark.parametrize("text", ["=1+1", "+7", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("x")\nrest'])
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_no_cell_is_a_formula(database: Database, text: str) -> None:
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 2).values(text=text, tags=[text]))
        await session.execute(update(Channel).where(Channel.id == 1).values(channel_title=text))
    row = list(csv.reader(io.StringIO(await exported(database, ExportFormat.CSV), newline="")))[1]
    assert [row[2], row[6], row[7]] == [f"'{text}"] * 3
    # Programs get the text unchanged.
    assert json.loads((await exported(database, ExportFormat.JSONL)).splitlines()[0])["text"] == text


async def test_lines_quotes_and_odd_characters_stay_in_their_cell(database: Database) -> None:
    text = 'Он сказал: "да",\r\nи ушёл\n\u2028 😀;'
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 2).values(text=text))
    row = list(csv.reader(io.StringIO(await exported(database, ExportFormat.CSV), newline="")))[1]
    assert row[6] == text
    assert json.loads((await exported(database, ExportFormat.JSONL)).split("\n")[0])["text"] == text


async def test_a_channel_without_a_name_has_none(database: Database) -> None:
    async with database.write() as session:
        values = {"channel_id": -1001234567890, "channel_username": "id-1001234567890"}
        await session.execute(update(Channel).where(Channel.id == 1).values(**values))
    assert json.loads((await exported(database, ExportFormat.JSONL)).splitlines()[0])["channel_username"] is None


async def test_many_pages_lose_nothing_while_posts_come_and_go(database: Database) -> None:
    count = 3 * PAGE
    async with database.write() as session:
        await add_posts(session, 1, count, first=1001, **TAGGED)
        # Many posts of one time.
        await session.execute(update(Post).where(Post.id > 1000).values(posted_at=NOW + timedelta(days=1)))
    found: list[int] = []
    async with aclosing(Exporter(database).chunks(1, ExportFormat.JSONL)) as blocks:
        async for block in blocks:
            found += [json.loads(line)["id"] for line in block.data.splitlines()]
            async with database.write() as session:
                # The post at which the next page starts is deleted, and a new one is stored.
                await session.execute(delete(Post).where(Post.id == found[-1], Post.user_id == 1))
                await add_posts(session, 1, 1, first=5000 + len(found), **TAGGED)
    assert found == [*range(1000 + count, 1000, -1), 2, 1]
