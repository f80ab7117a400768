"""A PostgreSQL that goes away, an SQLite file that is locked, a disk that is full."""

from __future__ import annotations

import asyncio
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database, parse_url
from tests.end_to_end.process import ADMIN, USER, Bot, environment, readiness, run
from tests.faults.checks import check
from tests.faults.marks import full, on_postgresql, on_sqlite
from tests.faults.world import CONCURRENCY, World
from tests.proxy import proxied

pytestmark = pytest.mark.timeout(240)

UNAVAILABLE = {"en": "Temporarily unavailable", "ru": "Временно недоступно"}
CHANNEL = -1001234567890
UNWRITABLE = "The database cannot be written"
LOCKED_SECONDS = 20.0
LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@on_postgresql
async def test_the_server_is_gone_for_a_while(world: World) -> None:
    """Answers that come meanwhile are kept and written afterwards; people are told, in their language, to come back.

    Bound: each post once, the channel's own post included: the process lives, so no answer is asked again.
    """
    count = 20
    await world.fill(count)
    world.provider.hold()
    world.telegram.add_user(USER, "Ben", "ru", started=True)
    world.telegram.add_channel(CHANNEL, "Harbour", "harbour")
    async with proxied(world.url) as (proxy, url), world.bot(DATABASE_URL=url) as bot:
        await world.admin_ready()
        world.telegram.add_bot_to_channel(CHANNEL, ADMIN)
        await world.until_told(ADMIN, "Harbour")
        await world.until_in_flight(CONCURRENCY)
        proxy.cut()
        world.provider.release()
        world.telegram.channel_post(CHANNEL, "Harbour closed because of storm, ferries wait until evening")
        world.telegram.send_text(ADMIN, "/stats")
        world.telegram.send_text(USER, "/stats")
        await world.until_told(ADMIN, UNAVAILABLE["en"])
        await world.until_told(USER, UNAVAILABLE["ru"])
        await world.until(lambda: world.provider.in_flight == 0)
        await proxy.mend()

        async def stored() -> bool:
            return len(await world.posts()) == count + 1

        await world.until(stored)
        await world.until_settled()
        world.telegram.send_text(USER, "/stats")
        await world.until_told(USER, str(count))
        assert await bot.stop() == 0
    await check(world, most_requests=count + 1)


@on_postgresql
@full
async def test_connections_are_terminated_again_and_again(world: World) -> None:
    """pg_terminate_backend on everything, in the middle of the work.

    Bound: each post once: what was answered is kept until it is written.
    """
    count, times = 120, 15
    await world.fill(count)
    world.provider.latency = 0.02
    server = make_url(world.url).set(database="postgres").render_as_string(hide_password=False)
    connection = await asyncpg.connect(server)
    try:
        async with world.bot() as bot:
            for turn in range(1, times + 1):
                await world.until_requests(turn * count // (times + 1))
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                    make_url(world.url).database,
                )
            await world.until_settled(90)
            assert await bot.stop() == 0
    finally:
        await connection.close()
    await check(world, most_requests=count)


@on_postgresql
@full
async def test_connections_are_reset_in_the_middle_of_statements(world: World) -> None:
    """The wire is cut wherever it happens to be, in a commit, too.

    Bound: each post once; a commit whose answer was lost has been made or not, and either is found out.
    """
    count, times = 120, 15
    await world.fill(count)
    world.provider.latency = 0.02
    async with proxied(world.url) as (proxy, url), world.bot(DATABASE_URL=url) as bot:
        for turn in range(1, times + 1):
            await world.until_requests(turn * count // (times + 1))
            proxy.drop()
        await world.until_settled(90)
        assert await bot.stop() == 0
    await check(world, most_requests=count)


@on_sqlite
@full
async def test_another_program_locks_the_file(world: World) -> None:
    """A plain sqlite3 holds the file for 20 s, longer than the busy timeout; work goes on afterwards.

    Bound: each post once.
    """
    count = 20
    await world.fill(count)
    world.provider.hold()
    async with world.bot() as bot:
        await world.until_in_flight(CONCURRENCY)
        locker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LOCKER, _path(world), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert locker.stdout is not None
        assert await locker.stdout.readline() == b"locked\n"
        world.provider.release()
        await asyncio.sleep(LOCKED_SECONDS)
        assert len(world.provider.requests) == CONCURRENCY
        await locker.communicate(b"\n")
        await world.until_settled()
        assert await bot.stop() == 0
    await check(world, most_requests=count)


@on_sqlite
async def test_no_room_to_write(world: World) -> None:
    """Every write fails as on a full disk (here by RLIMIT_FSIZE); work goes on when there is room again.

    Bound: each post once.
    """
    if not hasattr(resource, "prlimit"):
        pytest.skip("the limit of another process can be set on Linux only")

    def full_disk(bot: Bot) -> None:
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def room(bot: Bot) -> None:
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    await _disk_is_full_for_a_while(world, full_disk, room)


@full
async def test_a_disk_that_is_really_full(
    tmp_path: Path, sqlite_template: Path, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """The same on a small file system that another file fills up. Needs the right to mount one.

    Bound: each post once.
    """
    disk = tmp_path / "disk"
    ballast = disk / "ballast"

    def fill_disk(bot: Bot) -> None:
        fill_up(ballast)

    with _mounted(disk):
        shutil.copyfile(sqlite_template, disk / "metka.db")
        url = f"sqlite:///{disk / 'metka.db'}"
        database = Database(parse_url(url))
        try:
            world = World(url, database, telegram, provider)
            await _disk_is_full_for_a_while(world, fill_disk, lambda bot: ballast.unlink())
        finally:
            await database.close()


@full
@pytest.mark.parametrize("fault", ["cannot be used (disk I/O error)", "Metka may not write to"])
async def test_a_start_on_a_disk_that_cannot_be_written(
    tmp_path: Path, sqlite_template: Path, telegram: TelegramSandbox, provider: ProviderSandbox, fault: str
) -> None:
    """One line says so, and doctor does."""
    disk = tmp_path / "disk"
    with _mounted(disk):
        shutil.copyfile(sqlite_template, disk / "metka.db")
        if "may not" in fault:
            _make_read_only(disk)
        else:
            fill_up(disk / "ballast")
        settings = environment(f"sqlite:///{disk / 'metka.db'}", telegram, provider)
        status, output = await run(settings)
        assert (status, len(output.splitlines()), fault in output) == (1, 1, True), output
        status, output = await run(settings, "doctor")
        assert (status, "FAIL  database: " in output) == (1, True), output


def fill_up(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def _disk_is_full_for_a_while(world: World, fill_up: Callable[[Bot], None], room: Callable[[Bot], None]) -> None:
    count = 20
    await world.fill(count)
    world.provider.hold()
    async with world.bot() as bot:
        await world.admin_ready()
        await world.until_in_flight(CONCURRENCY)
        fill_up(bot)
        world.provider.release()
        await world.until(lambda: world.provider.in_flight == 0)
        world.telegram.send_text(USER, "/stats")
        await world.until_told(USER, UNAVAILABLE["en"])
        await world.until_told(ADMIN, UNWRITABLE)
        assert await readiness(bot) == 503
        room(bot)
        await world.until_settled()
        world.telegram.send_text(USER, "/stats")
        await world.until_told(USER, str(count))
        await world.until(lambda: is_ready(bot))
        assert await bot.stop() == 0
        assert bot.log.count("database_unwritable") == len(world.told(ADMIN, UNWRITABLE)) == 1
        assert '"error": "disk I/O error"' in bot.log or '"error": "database or disk is full"' in bot.log
    await check(world, most_requests=count)


async def is_ready(bot: Bot) -> bool:
    return await readiness(bot) == 200


def _make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


@contextmanager
def _mounted(path: Path) -> Iterator[None]:
    """A file system of 4 MB."""
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True, capture_output=True)


def _path(world: World) -> str:
    return str(parse_url(world.url).database)
