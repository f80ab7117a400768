"""What the processes on one PostgreSQL database tell each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text as sql
from structlog.testing import capture_logs

from storage.db import coordination as product
from storage.db.coordination import LEADER_LOCK, NEWS_CHANNEL, WORK_CHANNEL, ConnectionLostError, Coordination
from storage.db.engine import Database, parse_url
from storage.queue import claim, retry_requests
from tests.proxy import Proxy, proxied
from tests.storage.rows import NOW, add_posts, add_user

SECONDS = 10


@pytest.fixture
def backend() -> str:
    """SQLite has one process, which needs to tell nobody."""
    return "postgresql"


class Bell:
    """Counts notifications."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()

    def ring(self) -> None:
        self.rung.set()

    async def rings(self, database: Database) -> bool:
        """Whether it has been rung by what was committed until now."""
        # Notifications come in the order of the commits: the last one is ours.
        if not self.rung.is_set():
            await change(database, "SELECT pg_notify('metka_work', 'end')")
            async with asyncio.timeout(SECONDS):
                await self.rung.wait()
            self.rung.clear()
            return False
        self.rung.clear()
        return True


class Process:
    """One of several processes: its connection, and whether its duties run."""

    def __init__(self, database: Database, *, leads: bool = True) -> None:
        self.leading = asyncio.Event()
        self.standing_by = asyncio.Event()
        self.standing_by.set()
        self.bell, self.news = Bell(), Bell()
        duties = self._duties if leads else None
        listeners = {WORK_CHANNEL: self.bell.ring} | ({NEWS_CHANNEL: self.news.ring} if leads else {})
        self.coordination = Coordination(database, listeners, duties=duties)

    @asynccontextmanager
    async def _duties(self, _step_down: Callable[[], None]) -> AsyncIterator[None]:
        self.leading.set()
        self.standing_by.clear()
        try:
            yield
        finally:
            self.leading.clear()
            self.standing_by.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        """While the block runs; it has begun to listen."""
        task = asyncio.create_task(self.coordination.run())
        try:
            await until(self.bell.rung)
            self.bell.rung.clear()
            yield self
        finally:
            self.coordination.stop()
            async with asyncio.timeout(SECONDS):
                await task


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(SECONDS):
        await event.wait()


async def holds_lock(process: Process, so: bool) -> None:
    """Wait until it has, or has not, the leader's lock."""
    async with asyncio.timeout(SECONDS):
        while process.coordination.holds_lock is not so:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


async def one_leads(*processes: Process) -> None:
    """Wait for a leader; there is but one."""
    waits = [asyncio.create_task(until(process.leading)) for process in processes]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    assert [process.leading.is_set() for process in processes].count(True) == 1


async def change(database: Database, statement: str) -> None:
    async with database.write() as session:
        await session.execute(sql(statement))


@pytest.fixture
async def listener(database: Database) -> AsyncIterator[Bell]:
    """Hears of work; the user 2 has the posts 1 (failed), 2 (retrying), 3 (skipped), 4 (success), 5 (leased)."""
    async with database.write() as session:
        await add_user(session, 2)
        for number, status in enumerate(("failed", "retrying", "skipped", "success", "pending"), start=1):
            values = {"next_attempt_at": NOW} if status == "retrying" else {}
            await add_posts(session, 2, 1, first=number, tagging_status=status, **values)
        await session.execute(sql("UPDATE posts SET skipped_at = now() WHERE id = 3"))
        await session.execute(sql("UPDATE posts SET lease_token = 'mine', lease_expires_at = now() WHERE id = 5"))
    async with Process(database, leads=False).running() as process:
        yield process.bell


PARSER_INSERT = (
    "INSERT INTO posts (id, user_id, channel_id, telegram_message_id, text, posted_at) "
    "VALUES (100, 2, 2, 100, 'News', now())"
)


@pytest.mark.parametrize(
    "statement",
    [
        PARSER_INSERT,
        "UPDATE posts SET text = 'Edited' WHERE id = 4",
        "UPDATE posts SET text = 'Edited' WHERE id = 5",
        "UPDATE posts SET tagging_status = 'pending' WHERE id = 1",
        "UPDATE posts SET requested_at = now() WHERE id = 5",
        "UPDATE posts SET next_attempt_at = NULL WHERE id = 2",
        "UPDATE posts SET lease_token = NULL, lease_expires_at = NULL WHERE id = 5",
    ],
)
async def test_a_row_that_becomes_work_is_notified(database: Database, listener: Bell, statement: str) -> None:
    """Inserted, edited, asked for, retried, made due, or given back; by whoever and by plain SQL."""
    await change(database, statement)
    await until(listener.rung)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posts SET lease_token = 'other', lease_expires_at = now() WHERE id = 1",
        "UPDATE posts SET lease_expires_at = now() WHERE id = 5",
        "UPDATE posts SET tagging_status = 'success', lease_token = NULL WHERE id = 5",
        "UPDATE posts SET tagging_status = 'retrying', next_attempt_at = now(), lease_token = NULL WHERE id = 5",
        "UPDATE posts SET views = 7",
        "DELETE FROM posts WHERE id = 5",
    ],
)
async def test_what_makes_no_work_is_not_notified(database: Database, listener: Bell, statement: str) -> None:
    """A claim, a renewal, an outcome, the parser's counts of views."""
    await change(database, statement)
    assert not await listener.rings(database)


async def test_what_people_ask_is_notified(database: Database, listener: Bell) -> None:
    """Each of /regen, a button, /retry, /retry force, Undo and the nightly run reaches the other processes."""
    async with database.write() as session:
        await retry_requests.ask_anew(session, 4, NOW)
    await until(listener.rung)
    listener.rung.clear()
    async with database.write() as session:
        assert await retry_requests.unskip(session, 3)
    await until(listener.rung)
    listener.rung.clear()
    async with database.write() as session:
        assert await retry_requests.ask_again(session, [2], 2, NOW, force=True)
    await until(listener.rung)
    listener.rung.clear()
    async with database.write() as session:
        assert await retry_requests.queue_nightly(session, 1, NOW, NOW) == 1
    await until(listener.rung)
    listener.rung.clear()
    await change(database, "UPDATE posts SET tagging_status = 'failed'")
    async with database.write() as session:
        await retry_requests.start_run(session, user_id=2, telegram_id=1, limit=10, force=False, now=NOW)
    await until(listener.rung)


async def test_a_claim_is_not_notified(database: Database, listener: Bell) -> None:
    """Or every worker would wake all others with each post it takes."""
    async with database.write() as session:
        assert await claim.claim_posts(session, limit=9, now=NOW, lease_seconds=9, token="t", after_user=0)
    assert not await listener.rings(database)


async def test_the_triggers_leave_the_table_to_the_parser(database: Database, listener: Bell) -> None:
    """It may change the type of its columns, and drop ours: its statements go on."""
    await change(database, "ALTER TABLE posts ALTER COLUMN tagging_status TYPE VARCHAR(40)")
    await change(database, "ALTER TABLE posts DROP COLUMN requested_at, DROP COLUMN next_attempt_at CASCADE")
    await change(database, "UPDATE posts SET text = 'Edited', views = 1")
    await change(database, PARSER_INSERT)
    await until(listener.rung)


async def test_one_leads(database: Database) -> None:
    """The others stand by, and one of them takes over when it stops; a process without duties never leads."""
    async with Process(database, leads=False).running() as worker, Process(database).running() as first:
        await until(first.leading)
        async with Process(database).running() as second:
            first.coordination.stop()
            await until(second.leading)
            assert not first.leading.is_set()
            assert not worker.coordination.is_leader
            assert second.coordination.is_leader


async def test_a_leader_that_stops_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stands by need not ask again and again."""
    monkeypatch.setattr(product, "ASK_SECONDS", 3600.0)
    async with Process(database).running() as first:
        await until(first.leading)
        async with Process(database).running() as second:
            await asked_for_the_lock(second)
            first.coordination.stop()
            await until(second.leading)


async def asked_for_the_lock(process: Process) -> None:
    async with asyncio.timeout(SECONDS):
        while not process.coordination._stood_by:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


async def test_news_of_whatever_process_reach_the_leader(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's, those of a bot that stands by, and the leader's own; at once."""
    monkeypatch.setattr(product, "ASK_SECONDS", 3600.0)
    monkeypatch.setattr(product, "BEAT_SECONDS", 3600.0)
    async with Process(database, leads=False).running() as worker, Process(database).running() as first:
        await until(first.leading)
        async with Process(database).running() as second:
            await asked_for_the_lock(second)
            for teller in (worker, second, first):
                first.news.rung.clear()
                teller.coordination.tell_leader()
                await until(first.news.rung)


async def test_news_are_told_when_the_database_is_back(database: Database) -> None:
    """What happened while a worker had no connection is not lost."""
    async with Process(database).running() as leader, behind_network(database) as (far, network):
        await until(leader.leading)
        async with Process(far, leads=False).running() as worker:
            network.cut()
            leader.news.rung.clear()
            worker.coordination.tell_leader()
            await network.mend()
            await until(leader.news.rung)


class Said:
    """What is notified of news; `meanwhile` happens while the first word is on its way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
        self.words, self.twice = 0, asyncio.Event()
        self._meanwhile = meanwhile
        self._say = product.Link.notify

        async def notify(link: product.Link, channel: str) -> None:
            await self._note(link, channel)

        monkeypatch.setattr(product.Link, "notify", notify)

    async def _note(self, link: product.Link, channel: str) -> None:
        self.words += 1
        if self.words == 1:
            self._meanwhile()
        else:
            self.twice.set()
        await self._say(link, channel)


async def test_news_that_come_while_others_are_told_are_told_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not when the next news come."""
    monkeypatch.setattr(product, "BEAT_SECONDS", 3600.0)
    async with Process(database, leads=False).running() as worker:
        said = Said(monkeypatch, worker.coordination.tell_leader)
        worker.coordination.tell_leader()
        await until(said.twice)


async def test_news_that_could_not_be_told_are_told_later(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends with the word on its way: the next one carries it."""

    def lose() -> None:
        raise ConnectionLostError

    async with Process(database, leads=False).running() as worker:
        said = Said(monkeypatch, lose)
        worker.coordination.tell_leader()
        await until(said.twice)


async def test_after_the_leaders_connection_was_cut_one_leads(database: Database) -> None:
    """Whichever gets the lock: the other one knows it as soon as it is connected again."""
    async with Process(database).running() as first:
        await until(first.leading)
        async with Process(database).running() as second:
            await cut(database)
            await holds_lock(first, False)
            async with asyncio.timeout(SECONDS):
                while not (first.coordination.holds_lock or second.leading.is_set()) or both(first, second):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            await one_leads(first, second)


def both(first: Process, second: Process) -> bool:
    return first.leading.is_set() and second.leading.is_set()


async def test_after_a_reconnection_it_looks_for_work(database: Database, listener: Bell) -> None:
    """Notifications may have been missed meanwhile; then it hears them again."""
    await change(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'metka coord%'",
    )
    await until(listener.rung)
    listener.rung.clear()
    await change(database, PARSER_INSERT)
    await until(listener.rung)


async def test_a_leader_goes_on_while_the_database_is_away(database: Database) -> None:
    """Or nobody could tell people so: one line when it goes, one when it is back, and the term is the same."""
    async with behind_network(database) as (far, network), Process(far).running() as process:
        await until(process.leading)
        process.bell.rung.clear()
        with capture_logs() as lines:
            network.cut()
            await holds_lock(process, False)
            assert process.leading.is_set()
            await network.mend()
            await holds_lock(process, True)
            assert process.leading.is_set()
    events = [(line["event"], line["log_level"]) for line in lines]
    assert events[:2] == [("coordination_lost", "warning"), ("coordination_back", "info")]


async def test_a_leader_without_its_lock_makes_room_for_a_rival(database: Database) -> None:
    """Its network alone is gone, and another process is seen at the leader's work; with the lock it stays."""
    async with behind_network(database) as (far, network), Process(far).running() as process:
        await until(process.leading)
        process.coordination.step_down()
        network.cut()
        await holds_lock(process, False)
        assert process.leading.is_set()
        process.coordination.step_down()
        await until(process.standing_by)
        await network.mend()
        await until(process.leading)


@asynccontextmanager
async def behind_network(database: Database) -> AsyncIterator[tuple[Database, Proxy]]:
    """The same database over a network that can fail."""
    async with proxied(database.url.render_as_string(hide_password=False)) as (network, url):
        far = Database(parse_url(url))
        try:
            yield far, network
        finally:
            await far.close()


async def cut(database: Database) -> None:
    """End the connection that holds the leader's lock."""
    high, low = LEADER_LOCK >> 32, LEADER_LOCK & 0xFFFFFFFF
    await change(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
        f"AND classid = {high} AND objid = {low} "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
