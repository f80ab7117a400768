"""The inbox's reader: what a webhook brought is handled, once in ordinary running, by whoever leads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiogram import Dispatcher
from sqlalchemy import select, update
from sqlalchemy import text as sql
from structlog.testing import capture_logs

from bot.telegram import stored_updates as product
from bot.telegram.dispatcher import make_bot
from bot.telegram.health import TelegramHealth
from bot.telegram.polling import Polling
from bot.telegram.stored_updates import StoredUpdates
from bot.telegram.updates import MOST_AT_ONCE
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.ingest.received_updates import ReceivedUpdates
from storage.db.coordination import Coordination
from storage.db.engine import Database, parse_url
from storage.posts import received_updates
from storage.schema.tables import ReceivedUpdateRow
from tests.bot.running import ANNA, until
from tests.bot.telegram.noting import Handlers
from tests.proxy import proxied

SECONDS = 20


def message(update_id: int, text: str) -> bytes:
    """An update as Telegram sends it."""
    chat = {"id": ANNA, "type": "private", "first_name": "Anna"}
    said = {"message_id": update_id, "date": 1_700_000_000, "chat": chat, "text": text}
    return json.dumps({"update_id": update_id, "message": said}).encode()


def make_dispatcher(handlers: Handlers) -> Dispatcher:
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.message.register(handlers.handle)
    return dispatcher


class Reading:
    """A reader at work, and the inbox of its process."""

    def __init__(self, database: Database, handlers: Handlers, telegram: TelegramSandbox, grace: float = 10.0) -> None:
        self.bot = make_bot(telegram.token, telegram.url)
        self.inbox = ReceivedUpdates(database, utc_now, self.wake)
        self.rivals = 0
        self.reader = StoredUpdates(
            self.bot, make_dispatcher(handlers), self.inbox, on_rival=self._rival, grace_seconds=grace
        )
        self.reader.error_pause = 0.05

    def wake(self) -> None:
        self.reader.wake()

    def _rival(self) -> None:
        self.rivals += 1


@asynccontextmanager
async def reading(
    database: Database, handlers: Handlers, telegram: TelegramSandbox, grace: float = 10.0
) -> AsyncIterator[Reading]:
    """A reader while the block runs, then stopped."""
    made = Reading(database, handlers, telegram, grace)
    task = asyncio.create_task(made.reader.run())
    try:
        yield made
    finally:
        made.reader.stop()
        await asyncio.wait_for(task, SECONDS)
        await made.bot.session.close()


async def rows(database: Database) -> list[tuple[int, str | None, bool]]:
    """Id, body, and whether it is handled."""
    async with database.read() as session:
        found = (await session.execute(select(ReceivedUpdateRow).order_by(ReceivedUpdateRow.update_id))).scalars()
        return [(row.update_id, row.body, row.handled_at is not None) for row in found]


async def waiting(database: Database) -> list[int]:
    return [update_id for update_id, _, handled in await rows(database) if not handled]


async def until_handled(database: Database) -> None:
    async with asyncio.timeout(SECONDS):
        while await waiting(database):  # noqa: ASYNC110 - the condition is in the database
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not woken does not look: a test that passes shows that it was."""
    monkeypatch.setattr(product, "LOOK_SECONDS", 3600.0)


async def test_each_is_handled_once(database: Database, telegram: TelegramSandbox) -> None:
    """More than are taken at once, and some twice; then nothing of what they said is kept."""
    handlers = Handlers()
    async with reading(database, handlers, telegram) as made:
        for number in range(1, 251):
            await made.inbox.receive(message(number, f"text {number}"))
            if number % 50 == 0:
                await made.inbox.receive(message(number, f"text {number}"))
        await until_handled(database)
        await made.inbox.receive(message(1, "text 1"))
        await made.inbox.receive(message(251, "last"))
        await until_handled(database)
        assert made.rivals == 0
    assert sorted(handlers.done) == sorted([*(f"text {number}" for number in range(1, 251)), "last"])
    assert await rows(database) == [(number, None, True) for number in range(1, 252)]


async def test_what_waits_is_begun_in_order(database: Database, telegram: TelegramSandbox) -> None:
    """By its number, not by when it was stored; more than are taken at once."""
    handlers, inbox = Handlers(), ReceivedUpdates(database, utc_now)
    for number in reversed(range(150)):
        await inbox.receive(message(number, f"text {number}"))
    async with reading(database, handlers, telegram):
        await until_handled(database)
    assert handlers.begun == [f"text {number}" for number in range(150)]


async def test_what_a_killed_process_left_is_handled_by_the_next(database: Database, telegram: TelegramSandbox) -> None:
    """Telegram was answered, and the process died before, or while, it handled the update."""
    first, second = Handlers(), Handlers()
    await ReceivedUpdates(database, utc_now).receive(message(1, "slow"))
    killed = Reading(database, first, telegram)
    task = asyncio.create_task(killed.reader.run())
    await until(lambda: first.begun == ["slow"])
    await ReceivedUpdates(database, utc_now).receive(message(2, "unseen"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    second.release()
    async with reading(database, second, telegram):
        await until_handled(database)
    assert second.done == ["slow", "unseen"]
    await killed.bot.session.close()


async def test_what_was_not_done_at_the_stop_stays(database: Database, telegram: TelegramSandbox) -> None:
    """A handler cut off has handled nothing; what comes during the stop is not begun."""
    first, second = Handlers(), Handlers()
    async with reading(database, first, telegram, grace=0) as made:
        await made.inbox.receive(message(1, "slow"))
        await made.inbox.receive(message(2, "quick"))
        await until(lambda: first.begun == ["slow", "quick"])
        made.reader.stop()
        await made.inbox.receive(message(3, "late"))
    assert await waiting(database) == [1, 3]
    assert first.done == ["quick"]
    second.release()
    async with reading(database, second, telegram):
        await until_handled(database)
    assert second.done == ["slow", "late"]


async def test_handlers_may_end_within_the_grace(database: Database, telegram: TelegramSandbox) -> None:
    """Then nothing is left for the next process."""
    handlers = Handlers()
    async with reading(database, handlers, telegram) as made:
        await made.inbox.receive(message(1, "slow"))
        await until(lambda: handlers.begun == ["slow"])
        asyncio.get_running_loop().call_later(0.1, handlers.release)
    assert handlers.done == ["slow"]
    assert await waiting(database) == []


async def test_slow_handlers_keep_nobody_waiting(database: Database, telegram: TelegramSandbox) -> None:
    """More of them than are taken at once."""
    handlers, inbox = Handlers(), ReceivedUpdates(database, utc_now)
    for number in range(MOST_AT_ONCE + 20):
        await inbox.receive(message(number, f"slow {number}"))
    await inbox.receive(message(10_000, "quick"))
    async with reading(database, handlers, telegram):
        await until(lambda: handlers.done == ["quick"])
        handlers.release()
        await until_handled(database)


async def test_a_full_house_waits_for_room(
    database: Database, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than so many are in progress; the end of one is the beginning of the next."""
    monkeypatch.setattr(product, "MOST_IN_PROGRESS", 2)
    handlers, inbox = Handlers(), ReceivedUpdates(database, utc_now)
    for number in range(5):
        await inbox.receive(message(number, f"slow {number}"))
    async with reading(database, handlers, telegram):
        await until(lambda: handlers.begun == ["slow 0", "slow 1"])
        handlers.release()
        await until_handled(database)
    assert len(handlers.done) == 5


@pytest.mark.parametrize("body", ["no JSON", "[]", "[" * 100_000, '{"update_id": 1, "message": 5}', '{"update_id": 1}'])
async def test_what_cannot_be_read_is_skipped(database: Database, telegram: TelegramSandbox, body: str) -> None:
    """With one line, and handled by that."""
    handlers, inbox = Handlers(), ReceivedUpdates(database, utc_now)
    await inbox.receive(message(1, "x"))
    async with database.write() as session:
        await session.execute(update(ReceivedUpdateRow).values(body=body))
    with capture_logs() as lines:
        async with reading(database, handlers, telegram):
            await until_handled(database)
    assert [(line["event"], line["update_id"]) for line in lines] == [("update_skipped", 1)]
    assert handlers.begun == []


async def test_a_handler_that_fails_has_handled_its_update(database: Database, telegram: TelegramSandbox) -> None:
    """It would fail again; those behind it go on."""
    handlers = Handlers()
    async with reading(database, handlers, telegram) as made:
        await made.inbox.receive(message(1, "broken"))
        await made.inbox.receive(message(2, "after"))
        await until_handled(database)
    assert (handlers.begun, handlers.done) == (["broken", "after"], ["after"])


async def test_another_reader_is_noticed(database: Database, telegram: TelegramSandbox) -> None:
    """It marked an update that this one was handling, too."""
    handlers = Handlers()
    async with reading(database, handlers, telegram) as made:
        await made.inbox.receive(message(1, "slow"))
        await until(lambda: handlers.begun == ["slow"])
        assert await ReceivedUpdates(database, utc_now).mark_handled([1]) == 1
        handlers.release()
        await until(lambda: made.rivals == 1)


async def test_the_database_away_is_waited_for(database: Database, telegram: TelegramSandbox) -> None:
    """One line for all tries, no traceback; what was handled meanwhile is marked later, and not handled again."""
    handlers, tries = Handlers(), 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    nowhere = Database(parse_url(f"postgresql://nobody@127.0.0.1:{port}/nowhere"))
    with capture_logs() as lines:
        async with reading(database, handlers, telegram) as made:
            await made.inbox.receive(message(1, "slow"))
            await until(lambda: handlers.begun == ["slow"])
            engine, database.engine = database.engine, nowhere.engine
            handlers.release()
            # A try of the driver's is more than one connection.
            await until(lambda: tries >= 10)
            database.engine = engine
            await made.inbox.receive(message(2, "after"))
            await until_handled(database)
    server.close()
    await nowhere.close()
    assert handlers.done == ["slow", "after"]
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("database_unavailable", "warning"),
        ("database_back", "info"),
    ]


async def test_an_update_with_a_field_that_cannot_be_read_is_handled(
    database: Database, telegram: TelegramSandbox
) -> None:
    """By what can be read of it; the field is told."""
    handlers, inbox, told = Handlers(), ReceivedUpdates(database, utc_now), list[str]()

    async def tell(field: str) -> None:
        told.append(field)

    update = json.loads(message(1, "hello"))
    update["message"]["poll"] = {"question": "Without its options?"}
    await inbox.receive(json.dumps(update).encode())
    bot = make_bot(telegram.token, telegram.url)
    reader = StoredUpdates(bot, make_dispatcher(handlers), inbox, until_empty=True, on_unreadable=tell)
    await asyncio.wait_for(reader.run(), SECONDS)
    await bot.session.close()
    assert (handlers.done, await waiting(database)) == (["hello"], [])
    assert [field.startswith("message.poll.") for field in told] == [True]


async def test_polling_handles_first_what_a_webhook_left(database: Database, telegram: TelegramSandbox) -> None:
    """Also while something of that is slow; Telegram is asked for more only then, and the webhook is gone."""
    handlers, inbox, health = Handlers(), ReceivedUpdates(database, utc_now), TelegramHealth(utc_now)
    telegram.add_user(ANNA, "Anna", started=True)
    telegram.send_text(ANNA, "polled")
    for number, text in enumerate(("slow", "left")):
        await inbox.receive(message(number, text))
    bot = make_bot(telegram.token, telegram.url)
    await bot.set_webhook("http://127.0.0.1:1/hook")
    dispatcher = make_dispatcher(handlers)
    polling = Polling(bot, dispatcher, health, leftovers=StoredUpdates(bot, dispatcher, inbox, until_empty=True))
    task = asyncio.create_task(polling.run())
    await until(lambda: "polled" in handlers.done)
    assert handlers.begun == ["slow", "left", "polled"]
    handlers.release()
    await until_handled(database)
    assert health.look().state == "ok"
    polling.stop()
    await asyncio.wait_for(task, SECONDS)
    await bot.session.close()
    assert (await waiting(database), telegram.world.updates.pending) == ([], [])


class TestSeveralProcesses:
    """On PostgreSQL."""

    @pytest.fixture
    def backend(self) -> str:
        """SQLite has one process."""
        return "postgresql"

    async def test_a_notification_wakes_the_leader(self, database: Database, telegram: TelegramSandbox) -> None:
        """Another process received the update."""
        handlers = Handlers()
        async with reading(database, handlers, telegram) as made, listening(database, made.reader) as heard:
            await heard.wait()
            await ReceivedUpdates(database, utc_now).receive(message(1, "from elsewhere"))
            await until_handled(database)
        assert handlers.done == ["from elsewhere"]

    async def test_a_frozen_database_is_waited_for(self, database: Database, telegram: TelegramSandbox) -> None:
        """The connections are cut while something is being handled, and mended."""
        handlers = Handlers()
        await ReceivedUpdates(database, utc_now).receive(message(1, "slow"))
        async with proxied(database.url.render_as_string(hide_password=False)) as (network, url):
            far = Database(parse_url(url))
            with capture_logs() as lines:
                async with reading(far, handlers, telegram):
                    await until(lambda: handlers.begun == ["slow"])
                    network.cut()
                    handlers.release()
                    await until(lambda: bool(lines))
                    await network.mend()
                    await until_handled(database)
            await far.close()
        assert handlers.done == ["slow"]
        assert [line["event"] for line in lines] == ["database_unavailable", "database_back"]


@asynccontextmanager
async def listening(database: Database, reader: StoredUpdates) -> AsyncIterator[asyncio.Event]:
    """The reader hears of notifications; the event: it does."""
    heard = asyncio.Event()

    def wake() -> None:
        heard.set()
        reader.wake()

    coordination = Coordination(database, {received_updates.CHANNEL: wake})
    task = asyncio.create_task(coordination.run())
    try:
        yield heard
    finally:
        coordination.stop()
        await asyncio.wait_for(task, SECONDS)


async def test_without_news_the_database_is_left_alone(database: Database, telegram: TelegramSandbox) -> None:
    """One look at the beginning, one for each thing that happens; none in between."""
    looks: list[Any] = []
    handlers = Handlers()
    made = Reading(database, handlers, telegram)

    class Counting(ReceivedUpdates):
        async def waiting(self, **values: Any) -> Any:
            looks.append(values)
            return await super().waiting(**values)

    reader = StoredUpdates(made.bot, make_dispatcher(handlers), Counting(database, utc_now))
    task = asyncio.create_task(reader.run())
    await asyncio.wait_for(reader.looked.wait(), SECONDS)
    async with database.read() as session:
        for _ in range(200):
            await session.execute(sql("SELECT 1"))
    assert len(looks) == 1
    reader.stop()
    await task
    await made.bot.session.close()
