"""The real process: started, used, killed and stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from sandbox.provider import FaultPlan, ProviderSandbox, expected_tags
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.end_to_end.process import ADMIN, STRANGER, USER, environment, run, running_bot
from tests.services.posts import own_tags
from tests.storage.rows import add_posts, add_user

pytestmark = pytest.mark.timeout(240)


async def fill(database: Database, count: int) -> None:
    """Posts of the user whose Telegram id is USER."""
    async with database.write() as session:
        await add_user(session, 2)
        await add_posts(session, 2, count)


async def posts(database: Database) -> list[Post]:
    async with database.read() as session:
        return list((await session.execute(select(Post).order_by(Post.id))).scalars())


async def count_tagged(database: Database) -> int:
    return len([post for post in await posts(database) if post.tagging_status == "success"])


async def until_tagged(database: Database, count: int) -> None:
    """Wait until so many posts have their tags."""
    async with asyncio.timeout(60):
        while await count_tagged(database) < count:  # noqa: ASYNC110 - the condition is in the database
            await asyncio.sleep(0.02)


async def until_settled(database: Database) -> list[Post]:
    """Wait until nothing is queued."""
    async with asyncio.timeout(90):
        while True:
            found = await posts(database)
            if found and all(post.tagging_status not in {"pending", "retrying"} for post in found):
                return found
            await asyncio.sleep(0.02)


async def test_from_a_row_to_tags_in_the_chat(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """The main job: a parser's rows are tagged, /stats says so, /regen answers with new tags."""
    await fill(database, 12)
    telegram.add_user(USER, "Ben", "en")
    async with running_bot(environment(migrated_url, telegram, provider)) as bot:
        found = await until_settled(database)
        assert all(own_tags(post) for post in found), bot.log
        telegram.send_text(USER, "/stats")
        await telegram.wait_for(lambda: any("12" in message["text"] for message in telegram.from_bot(USER)))
        telegram.send_text(USER, "/regen 5")
        tag = expected_tags(found[4].text or "")[0]
        await telegram.wait_for(lambda: any(tag in message["text"] for message in telegram.from_bot(USER)))
        assert await bot.stop() == 0
        assert "sk-secret-key" not in bot.log
        assert "no_administrators" not in bot.log
        assert telegram.token not in bot.log
        assert "новостях" not in bot.log
    assert telegram.errors == []


@pytest.mark.slow
async def test_a_failed_post_is_reported_and_retried_by_its_button(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """The notice's first button is Retry; its message then shows the tags."""
    await fill(database, 1)
    provider.plan_for("Пост номер 1", "moderation_403")
    telegram.add_user(USER, "Ben", "ru")
    telegram.send_text(USER, "/start")
    async with running_bot(environment(migrated_url, telegram, provider)):
        notice = await telegram.wait_for(
            lambda: next((m for m in telegram.from_bot(USER) if "Пост номер 1" in m["text"]), None), timeout=30
        )
        provider.forget_plan("Пост номер 1")
        await telegram.press(USER, notice["message_id"], 0)
        tag = expected_tags((await posts(database))[0].text or "")[0]
        await telegram.wait_for(
            lambda: any(m["message_id"] == notice["message_id"] and tag in m["text"] for m in telegram.from_bot(USER)),
            timeout=30,
        )
    assert telegram.errors == []


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.slow)])
async def test_kill_again_and_again(
    kills: int, database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """kill -9 with requests in flight: at the end every post has its own tags, and little was asked twice."""
    await fill(database, 60)
    provider.faults = FaultPlan(rate=0.1, seed=5)
    provider.latency = 0.05
    settings = environment(migrated_url, telegram, provider, TAGGING_CONCURRENCY="4")
    for _ in range(kills):
        done = await count_tagged(database)
        async with running_bot(settings) as bot:
            await until_tagged(database, min(done + 10, 60))
            await bot.kill()
    async with running_bot(settings) as bot:
        found = await until_settled(database)
        assert await bot.stop() == 0
    assert all(own_tags(post) for post in found)
    answered = len([request for request in provider.requests if request.outcome == "ok"])
    # A kill forgets what is in flight, and what a quick provider has answered within GATHER_SECONDS: as many again.
    assert answered <= 60 + kills * 2 * 4


@pytest.mark.slow
async def test_a_second_process_on_one_file_is_refused(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """It says so, and the first goes on."""
    settings = environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider)
    telegram.add_user(ADMIN, "Anna", "ru")
    async with running_bot(settings) as bot:
        telegram.send_text(ADMIN, "/start")
        await telegram.wait_for(lambda: telegram.from_bot(ADMIN), timeout=30)
        status, output = await run(settings)
        assert status == 1
        assert "metka.db" in output
        assert "Traceback" not in output
        assert await bot.stop() == 0


@pytest.mark.slow
async def test_a_stranger_is_let_in_by_the_administrator(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Told once; Approve reaches them, and then they may."""
    telegram.add_user(ADMIN, "Anna", "ru", started=True)
    telegram.add_user(STRANGER, "Carl <b>", "en")
    async with running_bot(environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider)):
        telegram.send_text(STRANGER, "/start")
        await telegram.wait_for(lambda: telegram.from_bot(STRANGER), timeout=30)
        request = await telegram.wait_for(
            lambda: next((m for m in telegram.from_bot(ADMIN) if m.get("reply_markup")), None), timeout=30
        )
        await telegram.press(ADMIN, request["message_id"], 0)
        await telegram.wait_for(lambda: len(telegram.from_bot(STRANGER)) == 2)
        telegram.send_text(STRANGER, "/stats")
        await telegram.wait_for(lambda: len(telegram.from_bot(STRANGER)) == 3)
    assert telegram.errors == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BOT_TOKEN", "", "make demo"),
        pytest.param("BOT_TOKEN", "nonsense", "BOT_TOKEN", marks=pytest.mark.slow),
        pytest.param("TAGGING_MAX_RETRIES", "many", "TAGGING_MAX_RETRIES", marks=pytest.mark.slow),
        pytest.param("DATABASE_URL", "mysql://a:hunter2@b/c", "DATABASE_URL", marks=pytest.mark.slow),
        pytest.param("DATABASE_URL", "postgresql://a:se@hunter2@127.0.0.1/c", "%40", marks=pytest.mark.slow),
        pytest.param("OPENROUTER_MODEL", "", "OPENROUTER_MODEL", marks=pytest.mark.slow),
        pytest.param("HTTP_HOST", "0.0.0.0", "API_TOKEN", marks=pytest.mark.slow),
        pytest.param("TIMEZONE", "Mars/X", "TIMEZONE", marks=pytest.mark.slow),
        pytest.param("WEBHOOK_URL", "http://x/y", "WEBHOOK_SECRET", marks=pytest.mark.slow),
    ],
)
async def test_a_wrong_setting_stops_the_start(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox, name: str, value: str, expected: str
) -> None:
    """One line that names the variable and what to do."""
    settings = environment(f"sqlite:///{tmp_path / 'metka.db'}", telegram, provider, **{name: value})
    status, output = await run(settings)
    assert status == 1
    assert expected in output
    assert len(output.strip().splitlines()) == 1
    assert "hunter2" not in output


@pytest.mark.slow
async def test_an_unreachable_database_is_named_without_its_password(
    telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """After a few seconds, with status 1."""
    settings = environment("postgresql://metka:hunter2@127.0.0.1:1/metka", telegram, provider)
    status, output = await run(settings)
    assert status == 1
    assert "127.0.0.1:1" in output
    assert "hunter2" not in output
    assert "Traceback" not in output
