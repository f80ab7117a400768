"""`python -m bot import` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from storage.schema.source_tables import ImportRow
from storage.schema.tables import Post, User
from tests.end_to_end.process import ADMIN, ROOT, USER, environment, run, running_bot
from tests.services.sources.export.exports import a_channel, a_message, a_service, write

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings(migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox) -> dict[str, str]:
    return environment(migrated_url, telegram, provider, ADMIN_IDS=f"{ADMIN},5")


def exported(folder: Path, count: int) -> str:
    messages = [a_message(number, f"Новость номер {number} о городе") for number in range(1, count + 1)]
    return str(write(folder, a_channel(a_service(10**9), *messages)))


async def count_posts(database: Database) -> int:
    async with database.read() as session:
        return (await session.execute(select(func.count()).select_from(Post))).scalar_one()


async def until_posts(database: Database, count: int) -> None:
    async with asyncio.timeout(60):
        while await count_posts(database) < count:  # noqa: ASYNC110 - the condition is in the database
            await asyncio.sleep(0.005)


async def test_a_file_is_imported_for_the_first_administrator(
    settings: dict[str, str], database: Database, tmp_path: Path
) -> None:
    path = exported(tmp_path, 1200)
    status, output = await run(settings, "import", path)
    assert status == 0
    assert "Messages: 1,201" in output
    assert "New posts: 1,200" in output
    assert "Skipped: 1 service messages" in output
    assert "Importing" not in output
    status, output = await run(settings, "import", path)
    assert (status, "Known already: 1,200" in output, "New posts: 0" in output) == (0, True, True)
    async with database.read() as session:
        owners = (await session.execute(select(User.telegram_id).join(Post, Post.user_id == User.id).distinct())).all()
    assert [tuple(row) for row in owners] == [(ADMIN,)]


async def test_what_is_wrong_is_said_in_a_line(settings: dict[str, str], database: Database, tmp_path: Path) -> None:
    path = exported(tmp_path, 2)
    page = write(tmp_path, b"<html>", "messages.html")
    other = write(tmp_path, {"some": "thing"}, "other.json")
    broken = write(tmp_path, json.dumps(a_channel(a_service(1), a_message(2))).encode()[:-1], "broken.json")
    nobody = {**settings, "ADMIN_IDS": ""}
    for arguments, words, environment_ in (
        (["none.json"], "none.json cannot be read: No such file", settings),
        ([str(tmp_path)], "is a folder", settings),
        ([str(page)], "Machine-readable JSON", settings),
        ([str(other)], "not an export from Telegram Desktop: it holds no list of messages", settings),
        ([path, "--user", "777"], "nobody with the Telegram id 777", settings),
        ([path], "--user TELEGRAM_ID", nobody),
        ([str(broken)], "breaks off after 2 messages", settings),
    ):
        status, output = await run(environment_, "import", *arguments)
        assert (status, words in output, "Traceback" in output) == (1, True, False), output
        assert len(output.splitlines()) == (1 if words[0] != "b" else 6), output
    assert await count_posts(database) == 1


async def test_a_user_of_the_bots_can_be_named(settings: dict[str, str], database: Database, tmp_path: Path) -> None:
    async with database.write() as session:
        session.add(User(telegram_id=USER))
    status, output = await run({**settings, "ADMIN_IDS": ""}, "import", exported(tmp_path, 3), "--user", str(USER))
    assert (status, "New posts: 3" in output) == (0, True)


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGINT, signal.SIGKILL))],
)
async def test_the_same_command_goes_on_after_a_break(
    number: signal.Signals, settings: dict[str, str], database: Database, tmp_path: Path
) -> None:
    path = exported(tmp_path, 20_000)
    async with running_bot(settings, "import", path) as command:
        await until_posts(database, 500)
        command.send(number)
        status = await command.ended()
    stored = await count_posts(database)
    assert 500 <= stored < 20_000
    async with database.read() as session:
        position = (await session.execute(select(ImportRow.position))).scalar_one()
    assert position == stored + 1
    if number is not signal.SIGKILL:
        assert status == 128 + number
        assert f"Stopped after {position:,} messages" in command.log
        assert "The same command goes on" in command.log
    status, output = await run(settings, "import", path)
    assert status == 0
    assert f"Going on after {position:,} messages" in output
    assert "New posts: 20,000" in output
    assert await count_posts(database) == 20_000


@pytest.mark.slow
async def test_it_runs_beside_the_bot_which_tags_what_comes(
    settings: dict[str, str], database: Database, tmp_path: Path
) -> None:
    async with running_bot(settings) as bot:
        await bot.logs("http_ready")
        status, output = await run(settings, "import", exported(tmp_path, 700))
        assert (status, "New posts: 700" in output) == (0, True)
        query = select(func.count()).select_from(Post).where(Post.tagging_status == "success")
        async with asyncio.timeout(120):
            while True:
                async with database.read() as session:
                    if (await session.execute(query)).scalar_one() == 700:
                        break
                await asyncio.sleep(0.05)
        assert await bot.stop() == 0


async def test_a_terminal_gets_a_bar(settings: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "import", exported(tmp_path, 2000)),
        cwd=ROOT,
        env=settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    output, _ = await process.communicate()
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert process.returncode == 0
    assert b"New posts: 2,000" in output
    assert "Importing" in shown
    assert "100%" in shown
