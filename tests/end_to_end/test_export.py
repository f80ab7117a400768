"""`python -m bot export` as a process."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.library.export import BOM
from storage.db.engine import Database, parse_url
from tests.end_to_end.process import ROOT, environment, run
from tests.storage.rows import add_posts, add_user


@pytest.fixture
async def settings(migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox) -> dict[str, str]:
    """User 2 is the first administrator; each has tagged posts."""
    database = Database(parse_url(migrated_url))
    try:
        async with database.write() as session:
            for user in (1, 2):
                await add_user(session, user)
                tagged: dict[str, Any] = {"tagging_status": "success", "tags": ["город"], "text": "=Город"}
                await add_posts(session, user, 2, first=user * 10, **tagged)
            await add_posts(session, 2, 1, first=30)
    finally:
        await database.close()
    return environment(migrated_url, telegram, provider, ADMIN_IDS="1002, 1001")


async def export(settings: dict[str, str], *arguments: str) -> tuple[int, bytes, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "export", *arguments), cwd=ROOT, env=settings, stdout=pipe, stderr=pipe
    )
    out, errors = await process.communicate()
    return process.returncode or 0, out, errors.decode()


async def test_to_stdout(settings: dict[str, str]) -> None:
    status, out, errors = await export(settings)
    assert (status, "Posts: 2" in errors) == (0, True)
    rows = list(csv.DictReader(io.StringIO(out.decode())))
    assert [(row["id"], row["text"]) for row in rows] == [("21", "'=Город"), ("20", "'=Город")]
    status, out, _ = await export(settings, "--user", "1001", "--format", "jsonl", "--all")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [11, 10]
    _, out, _ = await export(settings, "--all", "--format", "jsonl")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [30, 21, 20]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_file_is_there_when_it_is_whole(settings: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "out" / "posts.csv"
    status, _, errors = await export(settings, "--output", str(path))
    assert (status, "cannot be written" in errors) == (1, True)
    path.parent.mkdir()
    path.write_text("before")
    path.chmod(0o640)
    assert (await export(settings, "--output", str(path)))[:2] == (0, b"")
    assert path.read_bytes().startswith(BOM + b"id,channel_username")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in path.parent.iterdir()] == ["posts.csv"]
    assert (await export(settings, "--output", "/dev/null"))[0] == 1


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_what_is_wrong_is_said(settings: dict[str, str], tmp_path: Path) -> None:
    assert await run(settings, "export", "--user", "5") == (1, "--user: nobody with the Telegram id 5 uses the bot.\n")
    status, said = await run({**settings, "ADMIN_IDS": ""}, "export")
    assert (status, "ADMIN_IDS" in said) == (1, True)
    nothing = tmp_path / "nowhere" / "none.db"
    status, said = await run({**settings, "DATABASE_URL": f"sqlite:///{nothing}"}, "export")
    assert (status, said) == (1, f"There is no database at {nothing}: start the bot, or look at DATABASE_URL.\n")
    assert not nothing.parent.exists()


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("to", "said"), [(">/dev/full", "stdout cannot be written: No space left on device.\n"), ("| true", "")]
)
async def test_a_reader_that_takes_no_more(settings: dict[str, str], to: str, said: str) -> None:
    """As `| head` does: no traceback."""
    command = f"exec 3>&1; {sys.executable} -m bot export 2>&3 {to}"
    process = await asyncio.create_subprocess_shell(command, cwd=ROOT, env=settings, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode() == said
