"""Several real processes on one PostgreSQL database: one leads, all tag."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database, parse_url
from storage.migration.migrate import ADVISORY_LOCK
from storage.schema.tables import Post
from tests.end_to_end.process import USER, Bot, environment, run, running_bot
from tests.services.posts import own_tags
from tests.storage.rows import add_posts, add_user

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def backend() -> str:
    """On SQLite there is one process."""
    return "postgresql"


def worker_environment(url: str, provider: ProviderSandbox, **more: str) -> dict[str, str]:
    """Settings of a process that knows nothing of Telegram; the tick is no help."""
    settings = environment(url, TelegramSandbox(), provider, RETRY_INTERVAL_SECONDS="3600", **more)
    return {name: value for name, value in settings.items() if name not in {"BOT_TOKEN", "TELEGRAM_API_URL"}}


async def fill(database: Database, count: int) -> None:
    """Posts of the user whose Telegram id is USER."""
    async with database.write() as session:
        await add_user(session, 2)
        await add_posts(session, 2, count)


async def until_tagged(database: Database, seconds: float = 60) -> list[Post]:
    """Wait until every post has its tags."""
    async with asyncio.timeout(seconds):
        while True:
            async with database.read() as session:
                posts = list((await session.execute(select(Post).order_by(Post.id))).scalars())
            if posts and all(post.tagging_status == "success" for post in posts):
                assert all(own_tags(post) for post in posts)
                return posts
            await asyncio.sleep(0.02)


async def first_to_lead(*bots: Bot) -> tuple[Bot, Bot]:
    """The leader, and the other when it stands by."""
    waits = {asyncio.create_task(bot.logs("leading")): bot for bot in bots}
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    leader, other = waits[done.pop()], waits[pending.pop()]
    for task in waits:
        task.cancel()
    await other.logs("standing_by")
    return leader, other


async def answers_stats(telegram: TelegramSandbox) -> None:
    """Somebody polls: the question is answered, once."""
    before = len(telegram.from_bot(USER))
    telegram.send_text(USER, "/stats")
    await telegram.wait_for(lambda: len(telegram.from_bot(USER)) > before, timeout=15)


@pytest.mark.slow
async def test_another_leads_when_the_leader_is_killed(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Within seconds, and Telegram never sees two that poll."""
    await fill(database, 1)
    telegram.add_user(USER, "Ben", "en")
    settings = environment(migrated_url, telegram, provider)
    async with running_bot(settings) as one, running_bot(settings) as two:
        leader, other = await first_to_lead(one, two)
        await answers_stats(telegram)
        await leader.kill()
        await other.logs("leading", seconds=10)
        await answers_stats(telegram)
        assert await other.stop() == 0
        assert "standing_by" not in leader.log
        assert "polling_failed" not in leader.log + other.log
    assert [error for error in telegram.errors if error.code == 409] == []


@pytest.mark.slow
async def test_a_leader_whose_connection_is_cut_hands_over(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Or leads again; what people ask is answered by the one that leads, and both go on."""
    await fill(database, 1)
    telegram.add_user(USER, "Ben", "en")
    settings = environment(migrated_url, telegram, provider)
    async with running_bot(settings) as one, running_bot(settings) as two:
        leader, other = await first_to_lead(one, two)
        await answers_stats(telegram)
        async with database.write() as session:
            await session.execute(
                sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            )
        await leader.logs("coordination_back", seconds=10)
        await answers_stats(telegram)
        assert [await bot.stop() for bot in (leader, other)] == [0, 0]
        assert "Traceback" not in leader.log + other.log
        assert "polling_failed" not in leader.log + other.log


@pytest.mark.slow
async def test_processes_share_the_work(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """A bot and two workers: each of 500 posts is asked about once, and every process has had some."""
    provider.latency = 0.02
    bot_settings = environment(migrated_url, telegram, provider, TAGGING_CONCURRENCY="2")
    settings = worker_environment(migrated_url, provider, TAGGING_CONCURRENCY="2")
    async with AsyncExitStack() as stack:
        bots = [
            await stack.enter_async_context(running_bot(bot_settings)),
            await stack.enter_async_context(running_bot(settings, "worker")),
            await stack.enter_async_context(running_bot(settings, "worker")),
        ]
        for bot in bots:
            await bot.logs("started")
        await fill(database, 500)
        await until_tagged(database)
        assert len(provider.requests) == 500
        assert [await bot.stop() for bot in bots] == [0, 0, 0]
        assert all('"event": "batch_done"' in bot.log for bot in bots)


async def test_a_worker_needs_no_token_and_no_aiogram(
    database: Database, migrated_url: str, provider: ProviderSandbox, tmp_path: Path
) -> None:
    """It tags a row of plain SQL at once, though its tick is an hour away, in little memory."""
    (tmp_path / "aiogram.py").write_text("raise ImportError('aiogram is not to be imported')\n")
    settings = worker_environment(migrated_url, provider, PYTHONPATH=str(tmp_path))
    async with running_bot(settings, "worker") as worker:
        await worker.logs("started")
        await fill(database, 20)
        await until_tagged(database)
        async with database.write() as session:
            await session.execute(sql("UPDATE posts SET text = 'Новый текст о выставке' WHERE id = 7"))
        await until_tagged(database, seconds=5)
        assert resident_kilobytes(worker.pid) < 140_000
        assert await worker.stop() == 0
        assert "Traceback" not in worker.log


async def test_a_worker_that_stops_gives_its_leases_back(
    database: Database, migrated_url: str, provider: ProviderSandbox
) -> None:
    """What is in flight ends and is recorded, the rest is another's at once, and the status is 0."""
    provider.latency = 0.5
    settings = worker_environment(migrated_url, provider, TAGGING_CONCURRENCY="3", LEASE_SECONDS="300")
    async with running_bot(settings, "worker") as first, running_bot(settings, "worker") as second:
        await first.logs("started")
        await second.logs("started")
        await fill(database, 30)
        async with asyncio.timeout(30):
            while provider.in_flight < 6:  # noqa: ASYNC110 - the condition is the stand-in's
                await asyncio.sleep(0.02)
        assert await first.stop() == 0
        await until_tagged(database)
    assert len(provider.requests) == 30


@pytest.mark.slow
async def test_the_stop_takes_fifteen_seconds_at_most(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Also with a request that never ends: its post is given back, and the status is 0."""
    await fill(database, 1)
    provider.plan_for("Пост номер 1", "hang")
    async with running_bot(environment(migrated_url, telegram, provider)) as bot:
        await bot.logs("leading")
        async with asyncio.timeout(30):
            while not provider.in_flight:  # noqa: ASYNC110 - the condition is the stand-in's
                await asyncio.sleep(0.02)
        # The rest is for the last transaction and the interpreter's own end, on a busy machine.
        async with asyncio.timeout(19):
            assert await bot.stop() == 0
        assert "stopped_late" not in bot.log
    async with database.read() as session:
        post = (await session.execute(select(Post))).scalar_one()
    assert (post.tagging_status, post.lease_token) == ("pending", None)


@pytest.mark.slow
async def test_processes_that_start_at_once_migrate_one_after_another(
    database_url: str, provider: ProviderSandbox
) -> None:
    """All three find an empty database and wait for each other; one migrates it, and all of them start."""
    empty = Database(parse_url(database_url))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(empty.close)
        async with empty.write() as session:
            await session.execute(sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            settings = worker_environment(database_url, provider)
            workers = [await stack.enter_async_context(running_bot(settings, "worker")) for _ in range(3)]
            async with asyncio.timeout(60):
                while await waiting_for_lock(session) < 3:  # noqa: ASYNC110 - the condition is in the database
                    await asyncio.sleep(0.02)
        for worker in workers:
            await worker.logs("started")
        assert [await worker.stop() for worker in workers] == [0, 0, 0]
    logs = [worker.log for worker in workers]
    assert sum("Migrated to revision" in log for log in logs) == 1
    assert not any("Traceback" in log for log in logs)


async def waiting_for_lock(session: AsyncSession) -> int:
    """How many wait for the lock of the migrations."""
    query = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return int(await session.scalar(sql(query)) or 0)


async def test_a_worker_without_a_key_says_what_to_do(migrated_url: str, provider: ProviderSandbox) -> None:
    """There is nothing else that it could do: status 1."""
    settings = worker_environment(migrated_url, provider, OPENROUTER_API_KEY="", OPENROUTER_BASE_URL="")
    status, output = await run(settings, "worker")
    assert status == 1
    assert "OPENROUTER_API_KEY" in output
    assert len(output.strip().splitlines()) == 1


@pytest.mark.slow
async def test_on_sqlite_a_worker_is_alone(
    tmp_path: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """Then it works; beside it a bot is refused, and it beside a bot."""
    url = f"sqlite:///{tmp_path / 'metka.db'}"
    async with running_bot(worker_environment(url, provider), "worker") as worker:
        await worker.logs("started")
        status, output = await run(environment(url, telegram, provider))
        assert status == 1
        assert "PostgreSQL" in output
        assert await worker.stop() == 0
    async with running_bot(environment(url, telegram, provider)) as bot:
        await bot.logs("leading")
        status, output = await run(worker_environment(url, provider), "worker")
        assert status == 1
        assert "PostgreSQL" in output


def resident_kilobytes(pid: int) -> int:
    """The memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])
    print(f"resident: {found} kB")
    return found
