"""/export and /feed in chat."""

from __future__ import annotations

import asyncio
import csv
import gzip
import html
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from bot.delivery.export_files import packed, packed_workbooks
from bot.keyboards.channels.exports import ExportButton
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.library.export import BOM, ExportChunk, ExportedPost, Exporter, ExportFormat
from storage.db.engine import Database
from storage.schema.source_tables import FeedRow
from tests.bot.running import ANNA, BEN, BOSS, LARGEST_FILE, Running, running_bot
from tests.storage.rows import add_posts

PUBLIC_URL = "https://bot.example.org"


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider, public_url=PUBLIC_URL) as made:
        yield made
    assert telegram.unanswered() == []


def documents(telegram: TelegramSandbox, person: int) -> list[dict[str, Any]]:
    return [message for message in telegram.from_bot(person) if "document" in message]


async def sent(telegram: TelegramSandbox, person: int, count: int = 1) -> list[tuple[dict[str, Any], bytes]]:
    """Wait for `count` files, and return their contents."""
    await telegram.wait_for(lambda: len(documents(telegram, person)) >= count or None, 20)
    found = documents(telegram, person)
    return [(message, telegram.world.files[message["document"]["file_id"]]) for message in found]


async def test_a_file_of_ones_tagged_posts(bot: Running, telegram: TelegramSandbox) -> None:
    assert "Готовлю файл" in (await bot.say(ANNA, "/export csv"))["text"]
    ((message, data),) = await sent(telegram, ANNA)
    assert message["caption"] == "📤 2 поста с тегами"
    assert message["document"]["file_name"].endswith(".csv")
    assert data.startswith(BOM)
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert [(row["id"], row["tags"]) for row in rows] == [("2", "старый"), ("1", "старый")]


async def test_an_excel_workbook_holds_the_posts_and_no_formulas(bot: Running, telegram: TelegramSandbox) -> None:
    async with bot.database.write() as session:
        more = {"tagging_status": "success", "tags": ["=1+1", "C++"], "text": '=HYPERLINK("http://x.y")\x01 🎉'}
        await add_posts(session, 1, 1, first=4, **more)
    asked = await bot.say(ANNA, "/export")
    await telegram.press(ANNA, asked["message_id"], "📊 Excel")
    ((message, data),) = await sent(telegram, ANNA)
    assert message["caption"] == "📤 3 поста с тегами"
    assert message["document"]["file_name"].endswith(".xlsx")
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    texts = [html.unescape(text) for text in re.findall(r"<t[^>]*>(.*?)</t>", sheet)]
    assert texts[:3] == ["id", "channel_username", "channel_title"]
    assert "=1+1, C++" in texts
    assert sum("старый" in text for text in texts) == 2


def a_post(number: int) -> ExportedPost:
    return ExportedPost(number, "c", "C", number, None, None, "слово " * 200, ["тег"], "success", None)


async def test_a_large_workbook_comes_in_several(tmp_path: Path) -> None:
    async def pages() -> AsyncIterator[list[ExportedPost]]:
        for start in range(0, 300, 50):
            yield [a_post(number) for number in range(start, start + 50)]
            yield []

    parts = await packed_workbooks(pages(), tmp_path, 600_000)
    assert [part.posts for part in parts] == [100, 100, 100]
    assert all(zipfile.is_zipfile(part.path) and part.path.stat().st_size < 600_000 for part in parts)


async def test_the_kind_is_chosen_by_a_button(bot: Running, telegram: TelegramSandbox) -> None:
    asked = await bot.say(ANNA, "/export")
    # A Russian Excel does not split columns at commas.
    assert "• Excel — для Excel, Numbers и Google Таблиц" in asked["text"]
    await telegram.press(ANNA, asked["message_id"], "🧩 JSON Lines")
    ((message, data),) = await sent(telegram, ANNA)
    assert message["document"]["file_name"].endswith(".jsonl")
    assert [json.loads(line)["id"] for line in data.splitlines()] == [2, 1]
    assert "/export xlsx" in (await bot.say(BEN, "/export pdf"))["text"]


async def test_nothing_to_export_is_said(bot: Running, telegram: TelegramSandbox) -> None:
    await bot.say(BEN, "/export csv")
    await bot.shows(BEN, "Nothing to export")
    assert documents(telegram, BEN) == []


async def test_large_ones_are_compressed_and_cut(bot: Running, telegram: TelegramSandbox) -> None:
    """Each part is a complete file with its own heading."""
    async with bot.database.write() as session:
        for number in range(1, 1001):
            # Hex digits compress to half of their size.
            text = Random(number).randbytes(512).hex()
            await add_posts(session, 1, 1, first=1000 + number, tagging_status="success", tags=["a"], text=text)
    await bot.say(ANNA, "/export csv")
    await bot.shows(ANNA, "Готовлю")
    first = (await sent(telegram, ANNA))[0][0]
    count = int(first["caption"].rpartition(" ")[2])
    assert count > 1
    files = await sent(telegram, ANNA, count)
    ids: list[str] = []
    for message, data in files:
        assert message["document"]["file_name"].endswith(f"-of-{count}.csv.gz")
        assert len(data) <= LARGEST_FILE
        ids += [row["id"] for row in csv.DictReader(io.StringIO(gzip.decompress(data).decode("utf-8-sig")))]
    assert ids == [*(str(number) for number in range(2000, 1000, -1)), "2", "1"]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_one_at_a_time_and_the_bot_goes_on(
    bot: Running, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    blocks = Exporter.chunks

    async def slow(self: Exporter, user_id: int, form: ExportFormat, **values: Any) -> AsyncIterator[ExportChunk]:
        await go_on.wait()
        async for block in blocks(self, user_id, form, **values):
            yield block

    monkeypatch.setattr(Exporter, "chunks", slow)
    await bot.say(ANNA, "/export csv")
    assert "уже готовится" in (await bot.say(ANNA, "/export csv"))["text"]
    asked = await bot.say(ANNA, "/export")
    await telegram.press(ANNA, asked["message_id"], "📄 CSV")
    assert "3 поста" in (await bot.say(ANNA, "/stats"))["text"]
    go_on.set()
    assert len(await sent(telegram, ANNA)) == 1
    # The first export ends shortly after its file was sent.
    while "уже готовится" in (await bot.say(ANNA, "/export csv"))["text"]:
        pass
    await sent(telegram, ANNA, 2)


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_failure_is_said(bot: Running, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: Exporter, user_id: int, form: ExportFormat, **values: Any) -> AsyncIterator[ExportChunk]:
        yield ExportChunk(b"x", 1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Exporter, "chunks", full)
    await bot.say(ANNA, "/export csv")
    await bot.shows(ANNA, "Не удалось подготовить файл")
    assert documents(telegram, ANNA) == []


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_at_a_stop_who_waits_is_told(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(self: Exporter, user_id: int, form: ExportFormat, **values: Any) -> AsyncIterator[ExportChunk]:
        await asyncio.Event().wait()
        yield ExportChunk(b"", 0)

    monkeypatch.setattr(Exporter, "chunks", endless)
    async with running_bot(database, telegram, provider) as bot:
        await bot.say(ANNA, "/export csv")
    assert "перезапускается" in telegram.from_bot(ANNA)[-1]["text"]


async def test_packing_keeps_blocks_whole(tmp_path: Path) -> None:
    written = [Random(number).randbytes(30_000) for number in range(40)]

    async def blocks() -> AsyncIterator[ExportChunk]:
        for data in written:
            yield ExportChunk(data, 10)
            yield ExportChunk(b"", 0)

    parcels = await packed(blocks(), ExportFormat.JSONL, tmp_path, 400_000)
    assert len(parcels) > 1
    assert all(parcel.path.stat().st_size <= 400_000 for parcel in parcels)
    assert sum(parcel.posts for parcel in parcels) == 400
    assert b"".join(gzip.decompress(parcel.path.read_bytes()) for parcel in parcels) == b"".join(written)


async def test_a_feed_link_and_a_new_one(bot: Running, telegram: TelegramSandbox) -> None:
    first = await bot.say(BEN, "/feed")
    assert f"{PUBLIC_URL}/feeds/" in first["text"]
    assert link_in(first) == link_in(await bot.say(BEN, "/feed"))
    tagged = await bot.say(BEN, "/feed #Город у реки")
    assert link_in(tagged).endswith("/%D0%B3%D0%BE%D1%80%D0%BE%D0%B4%20%D1%83%20%D1%80%D0%B5%D0%BA%D0%B8.xml")
    assert "None of your posts has this tag yet" in tagged["text"]
    assert ("/feed tag" in first["text"], "/feed tag" in tagged["text"]) == (True, False)
    at = tagged["message_id"]
    await telegram.press(BEN, at, "🔑 New link")
    await bot.shows(BEN, "Make a new link?", at)
    await telegram.press(BEN, at, "Cancel")
    assert link_in(await bot.shows(BEN, "RSS feed of your posts with the tag", at)) == link_in(tagged)
    await telegram.press(BEN, at, "🔑 New link")
    await bot.shows(BEN, "Make a new link?", at)
    assert "no longer work" in (await telegram.press(BEN, at, "🔑 Make a new link")).text
    renewed = link_in(await bot.shows(BEN, "with the tag город у реки", at))
    assert renewed != link_in(tagged)
    assert renewed.rpartition("/")[2] == link_in(tagged).rpartition("/")[2]
    async with bot.database.read() as session:
        (row,) = (await session.execute(select(FeedRow))).scalars().all()
    assert (row.user_id, row.telegram_id) == (2, BEN)
    assert "100 characters" in (await bot.say(BEN, "/feed " + "a" * 101))["text"]
    known, unknown = [(await bot.say(ANNA, f"/feed {tag}"))["text"] for tag in ("старый", "новый")]
    assert ["пока нет постов" in text for text in (known, unknown)] == [False, True]


def link_in(message: dict[str, Any]) -> str:
    return next(line for line in str(message["text"]).splitlines() if line.startswith(PUBLIC_URL))


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_without_a_public_address_it_is_said_what_to_do(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    async with running_bot(database, telegram, provider) as bot:
        assert "PUBLIC_URL=https" in (await bot.say(BOSS, "/feed"))["text"]
        assert "administrator has to set PUBLIC_URL" in (await bot.say(BEN, "/feed"))["text"]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_forged_button_does_nothing(bot: Running, telegram: TelegramSandbox) -> None:
    asked = await bot.say(ANNA, "/export")
    forged = ExportButton(form=ExportFormat.CSV).pack().replace("csv", "exe")
    assert "больше не работает" in (await telegram.press(ANNA, asked["message_id"], forged, forge=True)).text
