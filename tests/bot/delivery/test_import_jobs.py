"""An export that a user sends to the bot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.delivery import import_jobs as product
from bot.keyboards.channels.imports import PersonalChatsButton
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from storage.schema.source_tables import ImportRow
from storage.schema.tables import Post
from tests.bot.running import ANNA, BEN, BOSS, STRANGER, Running, running_bot
from tests.services.sources.export.exports import a_channel, a_message, an_account


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made


def exported(count: int) -> bytes:
    chat = a_channel(*(a_message(number, f"Новость {number} о городе") for number in range(1, count + 1)))
    return json.dumps(chat, ensure_ascii=False).encode()


async def imported_posts(database: Database) -> list[Post]:
    async with database.read() as session:
        return list((await session.execute(select(Post).where(Post.text.startswith("Новость")))).scalars())


async def finished_imports(database: Database, count: int) -> list[str | None]:
    """Wait until so many are finished: the errors of these."""
    query = select(ImportRow.error).where(ImportRow.finished_at.is_not(None)).order_by(ImportRow.id)
    async with asyncio.timeout(20):
        while True:
            async with database.read() as session:
                errors = list((await session.execute(query)).scalars())
            if len(errors) >= count:
                return errors
            await asyncio.sleep(0.01)


def put_at(bot: Running, path: str) -> None:
    """The next file that is sent has this path on its server."""
    bot.telegram.world.file_paths[f"upload{len(bot.telegram.world.files) + 1}"] = path


async def send(bot: Running, who: int, name: str | None, data: bytes, mime_type: str | None = None) -> dict[str, Any]:
    """Send a file, and get the bot's next message."""
    before = len(bot.telegram.from_bot(who))
    bot.telegram.send_document(who, name, data, mime_type)
    return await bot.telegram.wait_for(lambda: next(iter(bot.telegram.from_bot(who)[before:]), None))


async def test_a_file_is_imported_and_its_message_shows_what_came_of_it(bot: Running) -> None:
    answer = await send(bot, ANNA, "result.json", exported(250))
    done = await bot.shows(ANNA, "импортирован", answer["message_id"])
    assert "Новых постов: 250" in done["text"]
    again = await send(bot, BEN, None, exported(250), "application/json")
    done = await bot.shows(BEN, "is imported", again["message_id"])
    assert "New posts: 250" in done["text"]
    third = await send(bot, BEN, "RESULT.JSON", exported(251))
    done = await bot.shows(BEN, "is imported", third["message_id"])
    assert "New posts: 1" in done["text"]
    assert "Already stored: 250" in done["text"]
    assert await finished_imports(bot.database, 3) == [None] * 3
    refused = [error for error in bot.telegram.errors if error.method != "getUpdates"]
    assert refused == []


async def test_what_cannot_be_imported_is_said(bot: Running) -> None:
    assert "result.json" in (await send(bot, BEN, "photo.zip", b"PK"))["text"]
    assert "web pages" in (await send(bot, BEN, "messages.html", b"<!DOCTYPE html>"))["text"]
    assert "web pages" in (await send(bot, BEN, None, b"<!DOCTYPE html>", "text/html"))["text"]
    page = await send(bot, BEN, "a.json", b"<!DOCTYPE html>")
    await bot.shows(BEN, "web pages", page["message_id"])
    other = await send(bot, BEN, "b.json", b'{"some": "thing"}')
    shown = await bot.shows(BEN, "a JSON file, but not an export", other["message_id"])
    assert "Telegram Desktop makes" in shown["text"]
    words = await send(bot, BEN, "d.json", b"Dear diary")
    await bot.shows(BEN, "no JSON in this file", words["message_id"])
    cut = await send(bot, BEN, "c.json", exported(3)[:-4])
    shown = await bot.shows(BEN, "in part", cut["message_id"])
    assert "New posts: 2" in shown["text"]
    assert "breaks off" in shown["text"]
    errors = await finished_imports(bot.database, 4)
    assert all(errors)


PRIVATE = [
    a_channel(a_message(1, "Новость из канала")),
    a_channel(a_message(1, "Новость от Евы"), a_message(2, ""), type="personal_chat", id=6, name="Eve"),
    a_channel(a_message(1, "Новость для себя"), type="saved_messages", id=7, name=None),
    a_channel(a_message(1, "Новость семьи"), type="private_group", id=8, name="Family"),
]
OF_PEOPLE = ["Новость для себя", "Новость от Евы", "Новость семьи"]


async def statuses(database: Database) -> dict[str, str]:
    return {post.text or "": post.tagging_status or "" for post in await imported_posts(database)}


async def tagged(bot: Running, *texts: str) -> None:
    async with asyncio.timeout(20):
        wanted = {**dict.fromkeys(OF_PEOPLE, "skipped"), **dict.fromkeys(texts, "success")}
        while await statuses(bot.database) != wanted:  # noqa: ASYNC110 - it is in the database
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("person", "question", "counted", "tag", "leave", "left", "queued"),
    [
        (
            BEN,
            "Tag your personal chats, too?",
            ["People: 1 message with text, in 1 chat", "Private groups: 1 message", "Saved Messages: 1 message"],
            "🏷 Tag them too",
            "🔒 Leave out",
            "left out",
            "3 messages of personal chats are queued",
        ),
        (
            ANNA,
            "Разметить и личные чаты?",
            ["Люди: 1 сообщение с текстом в 1 чате", "Закрытые группы: 1", "Избранное: 1"],
            "🏷 Разметить и их",
            "🔒 Не трогать",
            "не трогаю",
            "3 сообщения из личных чатов",
        ),
    ],
)
async def test_personal_chats_of_an_account_are_tagged_only_when_their_user_agrees(
    bot: Running,
    provider: ProviderSandbox,
    person: int,
    question: str,
    counted: list[str],
    tag: str,
    leave: str,
    left: str,
    queued: str,
) -> None:
    """Nothing of them reaches the provider before; who has left them out may change their mind."""
    data = json.dumps(an_account(PRIVATE), ensure_ascii=False).encode()
    answer = await send(bot, person, "result.json", data)
    asked = await bot.shows(person, question, answer["message_id"])
    assert all(words in asked["text"] for words in counted)
    await tagged(bot, "Новость из канала")
    await bot.telegram.press(person, answer["message_id"], leave)
    await bot.shows(person, left, answer["message_id"])
    again = await send(bot, person, "result.json", data)
    await bot.shows(person, question, again["message_id"])
    await tagged(bot, "Новость из канала")
    assert not [request for request in provider.requests if any(text in request.message for text in OF_PEOPLE)]
    await bot.telegram.press(person, again["message_id"], tag)
    await bot.shows(person, queued, again["message_id"])
    await tagged(bot, "Новость из канала", *OF_PEOPLE)


async def test_only_the_sender_answers_for_their_personal_chats(bot: Running) -> None:
    answer = await send(bot, BEN, "result.json", json.dumps(an_account(PRIVATE)).encode())
    await bot.shows(BEN, "Tag your personal chats", answer["message_id"])
    mine = await bot.say(ANNA, "/stats")
    forged = PersonalChatsButton(work=1, tag=True).pack()
    assert (await bot.telegram.press(ANNA, mine["message_id"], forged, forge=True)).text
    await tagged(bot, "Новость из канала")


async def test_a_single_chat_that_somebody_chose_to_export_is_tagged_at_once(bot: Running) -> None:
    chat = a_channel(a_message(1, "Новость от Евы"), type="personal_chat", id=6, name="Eve")
    answer = await send(bot, BEN, "result.json", json.dumps(chat).encode())
    done = await bot.shows(BEN, "is imported", answer["message_id"])
    assert "reply_markup" not in done


async def test_over_20_mb_administrators_are_told_the_command_and_others_whom_to_ask(bot: Running) -> None:
    big = await send(bot, BOSS, "result.json", b" " * (20 * 2**20 + 1))
    shown = await bot.shows(BOSS, "too big", big["message_id"])
    assert f".venv/bin/python -m bot import result.json --user {BOSS}" in shown["text"]
    big = await send(bot, BEN, "result.json", b" " * (20 * 2**20 + 1))
    shown = await bot.shows(BEN, "too big", big["message_id"])
    assert "ask the bot's administrator" in shown["text"]
    assert str(BEN) in shown["text"]
    assert "python" not in shown["text"]


async def test_a_file_that_is_not_given_ends_and_does_not_hold_up_the_others(bot: Running) -> None:
    """As from a Bot API server in --local mode on another machine."""
    put_at(bot, "/nowhere/documents/file_1.json")
    missing = await send(bot, BEN, "result.json", exported(3))
    await bot.shows(BEN, "does not give me that file", missing["message_id"])
    there = await send(bot, BEN, "result.json", exported(3))
    await bot.shows(BEN, "is imported", there["message_id"])
    assert await finished_imports(bot.database, 2) == ["ClientResponseError", None]


async def test_a_file_on_this_disk_is_read_there(bot: Running, tmp_path: Path) -> None:
    """As from a Bot API server in --local mode on this machine, which gives it no other way."""
    (tmp_path / "file_1.json").write_bytes(exported(3))
    put_at(bot, str(tmp_path / "file_1.json"))
    answer = await send(bot, BEN, "result.json", exported(5))
    done = await bot.shows(BEN, "is imported", answer["message_id"])
    assert "New posts: 3" in done["text"]
    assert (tmp_path / "file_1.json").exists()


async def test_a_file_that_fails_lets_the_next_one_pass_and_comes_again(
    bot: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(product, "MOST_TRIES", 10**6)
    bot.telegram.fail_next("download upload1", 502, "Bad Gateway", times=10**6)
    first = await send(bot, ANNA, "result.json", exported(3))
    second = await send(bot, BEN, "result.json", exported(3))
    await bot.shows(BEN, "is imported", second["message_id"])
    bot.telegram.world.faults.clear()
    await bot.shows(ANNA, "импортирован", first["message_id"])


async def test_a_file_that_always_fails_is_given_up(bot: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "PAUSE_SECONDS", 0.01)
    bot.telegram.fail_next("download upload1", 502, "Bad Gateway", times=10**6)
    answer = await send(bot, BEN, "result.json", exported(3))
    await bot.shows(BEN, "does not give me that file", answer["message_id"])
    assert await finished_imports(bot.database, 1) == ["ClientResponseError"]


async def test_a_strangers_file_is_not_taken(bot: Running, telegram: TelegramSandbox) -> None:
    await send(bot, STRANGER, "result.json", exported(3))
    async with bot.database.read() as session:
        assert (await session.execute(select(ImportRow))).first() is None


async def test_a_restart_goes_on(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> None:
    """The file came while nothing could be downloaded; what is left is done by whoever leads next."""
    telegram.fail_next("getFile", 500, "Internal Server Error", times=1)
    async with running_bot(database, telegram, provider) as first:
        answer = await send(first, BEN, "result.json", exported(120))
        await telegram.wait_for(lambda: any(call.method == "getFile" for call in telegram.calls))
    assert await imported_posts(database) == []
    async with running_bot(database, telegram, provider, again=True) as second:
        done = await second.shows(BEN, "is imported", answer["message_id"])
    assert "New posts: 120" in done["text"]
    assert len(await imported_posts(database)) == 120


async def test_files_of_several_people_take_turns(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short file is imported before a long one that came earlier; a person's own files come one after the other."""
    monkeypatch.setattr(product, "PART", 1)
    telegram.fail_next("getFile", 500, "Internal Server Error", times=10**6)
    async with running_bot(database, telegram, provider) as first:
        await send(first, ANNA, "long.json", exported(300))
        await send(first, ANNA, "second.json", exported(1))
        await send(first, BEN, "short.json", exported(3))
    telegram.world.faults.clear()
    async with running_bot(database, telegram, provider, again=True):
        assert await finished_imports(database, 3) == [None] * 3
    async with database.read() as session:
        ended = (await session.execute(select(ImportRow.file_name).order_by(ImportRow.finished_at))).scalars().all()
    assert ended == ["short.json", "long.json", "second.json"]
