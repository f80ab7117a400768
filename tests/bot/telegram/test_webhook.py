"""The whole bot in this process with a webhook: from Telegram over HTTP into the inbox, and back as an answer."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.monitoring.metrics import Metrics
from bot.runtime.app import make_reception, make_services, start
from bot.runtime.background_tasks import BackgroundTasks
from bot.runtime.engine import open_engine
from bot.runtime.leader import Leader, Reception
from bot.runtime.signals import Signal
from bot.settings import Settings
from bot.telegram import stored_updates
from sandbox.provider import ProviderSandbox
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.ingest.received_updates import BadUpdateError
from storage.db.engine import Database, is_unavailable
from storage.schema.tables import ReceivedUpdateRow
from tests.bot.running import BEN, until
from tests.storage.rows import add_posts, add_user

SECRET = "s3cret-word"


@pytest.fixture(autouse=True)
def _never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader looks only when it is woken: a test that passes shows that it was."""
    monkeypatch.setattr(stored_updates, "LOOK_SECONDS", 3600.0)


@dataclass
class World:
    """What the bot works with. `hook` is what Telegram reaches; the route's processes change behind it."""

    url: str
    telegram: TelegramSandbox
    provider: ProviderSandbox
    hook: str = ""
    reception: Reception | None = None

    def settings(self, **more: Any) -> Settings:
        values = {
            "bot_token": SecretStr(self.telegram.token),
            "telegram_api_url": self.telegram.url,
            "database_url": SecretStr(self.url),
            "openrouter_base_url": self.provider.url,
            "openrouter_model": "one/model",
            "webhook_url": f"{self.hook}/telegram",
            "webhook_secret": SecretStr(SECRET),
            "api_token": SecretStr("token"),
            **more,
        }
        return Settings(_env_file=None, **values)

    async def receive(self, request: web.Request) -> web.Response:
        """The route, as small as it can be."""
        given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(given.encode(), SECRET.encode()):
            return web.Response(status=401)
        if self.reception is None:
            return web.Response(status=503)
        try:
            await self.reception.inbox.receive(await request.read())
        except BadUpdateError:
            return web.Response(status=400)
        except Exception as error:
            if not is_unavailable(error):
                raise
            return web.Response(status=503)
        return web.Response()

    @asynccontextmanager
    async def running(self, settings: Settings, *, receives: bool = True) -> AsyncIterator[Reception]:
        """A process of the bot while the block runs."""
        news = Signal()
        async with open_engine(settings) as engine:
            reception = make_reception(engine)
            if receives:
                self.reception = reception
            tasks = BackgroundTasks()
            token, metrics = settings.bot_token or SecretStr(""), Metrics(settings.models, "1")
            leader = Leader(token, engine, make_services(engine), news, reception, metrics)
            start(engine, tasks, leader, news, reception)
            try:
                yield reception
            finally:
                if receives:
                    self.reception = None
                await tasks.stop(20)


@pytest.fixture
async def world(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> AsyncIterator[World]:
    """Ben with three posts, no process yet."""
    telegram.add_user(BEN, "Ben", "en", started=True)
    async with database.write() as session:
        await add_user(session, 2)
        await add_posts(session, 2, 3, tagging_status="success", tags=["x"])
    made = World(migrated_url, telegram, provider)
    app = web.Application()
    app.router.add_post("/telegram", made.receive)
    async with serve(app) as made.hook:
        yield made


async def answer(telegram: TelegramSandbox, count: int = 1) -> None:
    """Wait until Ben has been answered so often, and not more often."""
    await telegram.wait_for(lambda: len(telegram.from_bot(BEN)) >= count, 30)
    said = [message["text"] for message in telegram.from_bot(BEN)]
    assert len(said) == count
    assert "You have 3 posts" in said[-1]


async def waiting(database: Database) -> list[int]:
    async with database.read() as session:
        query = select(ReceivedUpdateRow.update_id).where(ReceivedUpdateRow.handled_at.is_(None))
        return list((await session.execute(query)).scalars())


def methods(telegram: TelegramSandbox) -> list[str]:
    return [call.method for call in telegram.calls]


async def test_from_a_command_to_its_answer(world: World, database: Database, telegram: TelegramSandbox) -> None:
    """The webhook is set as it should be; the answer comes once; nothing is polled, and the end deletes nothing."""
    async with world.running(world.settings()) as reception:
        telegram.send_text(BEN, "/stats")
        await answer(telegram)
        await until(lambda: not telegram.world.updates.pending)
        assert reception.health.look().state == "ok"
    assert await waiting(database) == []
    (call,) = [call for call in telegram.calls if call.method == "setWebhook"]
    assert (call.params["url"], call.params["secret_token"]) == (f"{world.hook}/telegram", SECRET)
    assert "callback_query" in call.params["allowed_updates"]
    assert not call.params.get("drop_pending_updates")
    assert not {"getUpdates", "deleteWebhook"} & set(methods(telegram))
    assert reception.health.look().state == "standby"
    assert telegram.errors == []


async def test_what_comes_while_no_process_runs_comes_later(world: World, telegram: TelegramSandbox) -> None:
    """Telegram keeps it, and is told so by nothing but the missing answer."""
    async with world.running(world.settings()):
        await until(lambda: "setWebhook" in methods(telegram))
    telegram.send_text(BEN, "/stats")
    await until(lambda: telegram.world.updates.webhook.last_error is not None)
    async with world.running(world.settings()):
        await answer(telegram)


async def test_back_to_polling_loses_nothing(world: World, database: Database, telegram: TelegramSandbox) -> None:
    """What was answered with 200 and not handled is handled first, once WEBHOOK_URL is gone."""
    async with world.running(world.settings()) as reception:
        await until(lambda: reception.health.look().state == "ok")
    # As if received by a process that could not handle it any more.
    async with database.write() as session:
        session.add(ReceivedUpdateRow(update_id=1, body=stats(1), received_at=utc_now()))
    async with world.running(world.settings(webhook_url=None), receives=False):
        await answer(telegram)
        telegram.send_text(BEN, "/stats")
        await answer(telegram, 2)
    assert await waiting(database) == []
    assert telegram.world.updates.pending == []
    assert telegram.world.updates.webhook.url == ""


def stats(update_id: int) -> str:
    person = f'{{"id": {BEN}, "is_bot": false, "first_name": "Ben", "language_code": "en"}}'
    chat = f'{{"id": {BEN}, "type": "private", "first_name": "Ben"}}'
    return (
        f'{{"update_id": {update_id}, "message": {{"message_id": 1, "date": 1700000000, "from": {person}, '
        f'"chat": {chat}, "text": "/stats", "entities": [{{"type": "bot_command", "offset": 0, "length": 6}}]}}}}'
    )


async def test_a_refused_webhook_is_tried_until_it_is_taken(world: World, telegram: TelegramSandbox) -> None:
    """With Telegram's words in the log, and seen by whoever asks after the health."""
    telegram.fail_next("setWebhook", 400, "Bad Request: bad webhook: Failed to resolve host")
    with capture_logs() as lines:
        async with world.running(world.settings()) as reception:
            await until(lambda: reception.health.look().state == "failing")
            assert reception.health.look().error == "TelegramBadRequest"
            await until(lambda: reception.health.look().state == "ok")
    (line,) = [line for line in lines if line["event"] == "webhook_refused"]
    assert "Failed to resolve host" in line["reason"]


@pytest.mark.parametrize("webhook", [True, False])
@pytest.mark.parametrize("token", ["700001:wrong", "not-even"])
async def test_a_token_that_telegram_refuses_is_said_once(
    world: World, telegram: TelegramSandbox, webhook: bool, token: str
) -> None:
    """In words, though everything that asks Telegram goes on trying; and it is visible."""
    if token == "not-even":
        # As Telegram answers a token that is none.
        telegram.fail_next("*", 404, "Not Found", times=1000)
        token = telegram.token
    more = {} if webhook else {"webhook_url": None}
    with capture_logs() as lines:
        async with world.running(world.settings(bot_token=SecretStr(token), **more)) as reception:
            await until(lambda: len(telegram.errors) >= 3)
            assert reception.health.look().state == "failing"
            assert reception.health.look().since is not None
    (line,) = [line for line in lines if line["event"] == "bot_token_refused"]
    assert "copy it again from BotFather" in line["todo"]
    assert [line["event"] for line in lines if line["event"] in {"telegram_unavailable", "polling_failed"}] == []


class TestSeveralProcesses:
    """On PostgreSQL."""

    @pytest.fixture
    def backend(self) -> str:
        """SQLite has one process."""
        return "postgresql"

    async def test_what_another_process_receives_the_leader_handles(
        self, world: World, database: Database, telegram: TelegramSandbox
    ) -> None:
        """At once; when the leader is gone, the other one does it."""
        async with world.running(world.settings(), receives=False) as leader:
            await until(lambda: leader.health.look().state == "ok")
            async with world.running(world.settings()) as other:
                telegram.send_text(BEN, "/stats")
                await answer(telegram)
                assert other.health.look().state == "standby"
        async with world.running(world.settings()) as other:
            await until(lambda: other.health.look().state == "ok")
            telegram.send_text(BEN, "/stats")
            await answer(telegram, 2)
        assert await waiting(database) == []


async def test_starting_until_the_first_answer(world: World, telegram: TelegramSandbox) -> None:
    """A process that leads and has not heard of Telegram yet says so."""
    held = asyncio.Event()
    states: list[str] = []

    async def hold(_request: web.Request) -> web.Response:
        await held.wait()
        return web.json_response({"ok": True, "result": True})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hold)
    async with serve(app) as url:
        settings = world.settings(telegram_api_url=url)
        async with world.running(settings) as reception:
            await until(lambda: reception.health.look().state != "standby")
            states.append(reception.health.look().state)
            held.set()
            await until(lambda: reception.health.look().state != "starting")
            states.append(reception.health.look().state)
    assert states == ["starting", "ok"]
