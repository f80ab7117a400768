"""The HTTP side of the real process."""

from __future__ import annotations

import asyncio
import json
import socket
from functools import partial
from typing import Any

import aiohttp
import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from tests.end_to_end.process import USER, Bot, environment, run, running_bot
from tests.storage.rows import add_posts, add_user, get_post

pytestmark = pytest.mark.timeout(240)

API_TOKEN = "an-administrators-token"


async def fill(database: Database) -> None:
    """User 2, of Telegram's 1002, with posts 390 (to be tagged) and 391 (failed)."""
    async with database.write() as session:
        await add_user(session, 2)
        await add_posts(session, 2, 1, first=390)
        failed = {
            "tagging_status": "failed",
            "tagging_attempts": 5,
            "tagging_error": "HTTP 503: the provider failed (m)",
        }
        await add_posts(session, 2, 1, first=391, **failed)


async def address(bot: Bot) -> str:
    """Where it serves, once it does."""
    await bot.logs("http_ready")
    line = next(line for line in bot.log.splitlines() if '"http_ready"' in line)
    return f"http://localhost:{json.loads(line)['port']}"


async def ask(http: aiohttp.ClientSession, method: str, url: str, status: int = 200) -> Any:
    async with http.request(method, url) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


def answered(telegram: TelegramSandbox, count: int) -> bool:
    """Whether the user got so many messages."""
    return len(telegram.from_bot(USER)) >= count


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def test_the_examples_of_the_documentation(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """As a user types them, on the machine itself, without a token."""
    await fill(database)
    async with running_bot(environment(migrated_url, telegram, provider)) as bot, aiohttp.ClientSession() as http:
        root = await address(bot)
        stats = await ask(http, "GET", f"{root}/users/2/posts/tagging_stats")
        assert (stats["total_posts"], stats["stats_by_status"]["failed"], stats["tagging_enabled"]) == (2, 1, True)
        failed = await ask(http, "GET", f"{root}/users/2/posts?limit=100&status=failed")
        assert [post["id"] for post in failed["posts"]] == [391]
        queued = await ask(http, "POST", f"{root}/users/2/posts/retry_tagging?force=true&limit=50", 202)
        assert (queued["status"], queued["force_mode"], queued["requested_limit"]) == ("queued", True, 50)
        async with asyncio.timeout(60):
            while (await get_post(database, 391)).tagging_status != "success":  # noqa: ASYNC110 - it is in the database
                await asyncio.sleep(0.02)
        before = await ask(http, "GET", f"{root}/posts/391")
        assert [attempt["outcome"] for attempt in before["attempts"]] == ["tagged"]
        assert (await ask(http, "POST", f"{root}/posts/391/regenerate_tags", 202))["status"] == "queued"
        async with asyncio.timeout(60):
            while len((await ask(http, "GET", f"{root}/posts/391"))["attempts"]) < 2:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.1)
        async with http.get(f"{root}/metrics") as answer:
            assert 'metka_attempts_total{model="one/model",outcome="tagged"}' in await answer.text()
        assert (await ask(http, "GET", f"{root}/readyz"))["status"] == "ready"
        assert await bot.stop() == 0
        assert "Traceback" not in bot.log


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_tokens_are_made_and_revoked_beside_the_running_bot(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """On SQLite, where a second bot would be refused."""
    await fill(database)
    settings = environment(migrated_url, telegram, provider, API_TOKEN=API_TOKEN)
    async with running_bot(settings) as bot, aiohttp.ClientSession() as http:
        root = await address(bot)
        status, output = await run(settings, "token", "create", "--user", str(USER))
        token = next(line for line in output.splitlines() if line.startswith("mtk_"))
        assert status == 0
        http.headers["Authorization"] = f"Bearer {token}"
        await ask(http, "GET", f"{root}/users/2/posts/tagging_stats")
        await ask(http, "GET", f"{root}/users/1/posts/tagging_stats", 403)
        status, output = await run(settings, "token", "list")
        assert (status, str(USER) in output, token in output) == (0, True, False)
        assert (await run(settings, "token", "revoke", output.split()[0]))[0] == 0
        await ask(http, "GET", f"{root}/users/2/posts/tagging_stats", 401)
        assert token not in bot.log
        assert API_TOKEN not in bot.log
    for wrong in (("create", "--user", "77"), ("revoke", "77")):
        status, output = await run(settings, "token", *wrong)
        assert (status, "77" in output, len(output.strip().splitlines())) == (1, True, 1)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["postgresql"])
async def test_a_bot_behind_a_webhook(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Telegram calls; a stop and a start later it still does, and nothing that came between is lost."""
    await fill(database)
    telegram.add_user(USER, "Ben", "en")
    port = free_port()
    hook = {"WEBHOOK_URL": f"http://127.0.0.1:{port}/hooks/telegram", "WEBHOOK_SECRET": "a-secret_1"}
    settings = environment(migrated_url, telegram, provider, API_TOKEN=API_TOKEN, **hook, HTTP_PORT=str(port))
    for count in (1, 2):
        # The second is written while nobody is there: Telegram tries again.
        telegram.send_text(USER, "/stats")
        async with running_bot(settings) as bot:
            await telegram.wait_for(partial(answered, telegram, count), timeout=60)
            assert await bot.stop() == 0
            assert "a-secret_1" not in bot.log
            assert "Traceback" not in bot.log
    assert telegram.errors == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"WEBHOOK_URL": "https://x.example/hook", "API_TOKEN": API_TOKEN}, "WEBHOOK_SECRET"),
        ({"WEBHOOK_URL": "https://x.example/hook", "WEBHOOK_SECRET": "abc"}, "API_TOKEN"),
        ({"HTTP_HOST": "0.0.0.0"}, "API_TOKEN"),
    ],
)
async def test_an_open_door_stops_the_start(
    tmp_path: Any, telegram: TelegramSandbox, provider: ProviderSandbox, more: dict[str, str], expected: str
) -> None:
    """One line says what is missing."""
    status, output = await run(environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider, **more))
    assert (status, expected in output, len(output.strip().splitlines())) == (1, True, 1)


@pytest.mark.slow
async def test_a_taken_port_stops_the_start(
    tmp_path: Any, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """One line that names the variable."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider, HTTP_PORT=port)
        status, output = await run(settings)
    assert (status, "HTTP_PORT" in output.strip().splitlines()[-1], "Traceback" in output) == (1, True, False)
