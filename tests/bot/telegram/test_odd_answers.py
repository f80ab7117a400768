"""Telegram's server, or a proxy before it, answers with something else: a fault that passes, and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from bot.telegram import call_retry
from bot.telegram.dispatcher import make_bot
from sandbox.provider import ProviderSandbox
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox
from storage.db.engine import Database
from tests.bot.running import BEN, Running, running_bot, until

#: A body, and the HTTP status that comes with it.
ANSWERS: dict[str, tuple[str, int]] = {
    "a proxy's page": ("<html><body>502 Bad Gateway</body></html>", 502),
    "a page with 200": ("<!DOCTYPE html><html></html>", 200),
    "a page with 404": ("<html>404</html>", 404),
    "nothing": ("", 200),
    "nothing with 504": ("", 504),
    "an empty object": ("{}", 200),
    "a list": ("[]", 200),
    "a null": ("null", 200),
    "no result": ('{"ok": true}', 200),
    "an odd result": ('{"ok": true, "result": {"a": 1}}', 200),
    "an error without words": ('{"ok": false}', 500),
    "half an answer": ('{"ok": true, "result": {"message_id": 5,', 200),
    "another API": ('{"error": {"message": "no"}}', 403),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_retry, "FIRST_PAUSE", 0.01)


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramSandbox]:
    """Without flood limits: a table has many rows."""
    sandbox = TelegramSandbox(flood=None)
    async with serve(sandbox.make_app()) as sandbox.url:
        yield sandbox


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made


async def test_the_answer_to_a_person_is_sent_again(
    bot: Running, telegram: TelegramSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The very answer, once, and without a stack trace."""
    with capture_logs() as log:
        for what, (text, status) in ANSWERS.items():
            before = len(telegram.from_bot(BEN))
            telegram.answer_oddly("sendMessage", text, status, times=2)
            shown = await bot.say(BEN, "/stats")
            assert "You have 3 posts" in shown["text"], what
            telegram.answer_oddly("editMessageText", text, status)
            telegram.answer_oddly("answerCallbackQuery", text, status)
            await telegram.press(BEN, shown["message_id"], 0)
            await until(lambda: not telegram.world.updates.pending)
            assert len(telegram.from_bot(BEN)) == before + 1, what
    assert [line for line in log if line["log_level"] in {"error", "critical"} or "exc_info" in line] == []
    assert [line for line in caplog.records if line.exc_info or line.levelname == "ERROR"] == []


@pytest.mark.slow
async def test_updates_and_notices_go_on(bot: Running, telegram: TelegramSandbox) -> None:
    """Whatever any method is answered with, polling and the outbox wait and go on."""
    with capture_logs() as log:
        for text, status in ANSWERS.values():
            telegram.answer_oddly("*", text, status, times=2)
            answer = await bot.say(BEN, "/regen 11")
            await bot.shows(BEN, "✅ #11", answer["message_id"])
    assert [line for line in log if line["log_level"] in {"error", "critical"} or "exc_info" in line] == []


async def test_a_message_that_was_sent_is_not_sent_twice(telegram: TelegramSandbox) -> None:
    """aiogram cannot read the answer, but the message is there."""
    sent = '{"ok": true, "result": {"message_id": 5, "date": 1, "chat": {"id": 1, "type": "private"}, "poll": {}}}'
    telegram.answer_oddly("sendMessage", sent)
    bot = make_bot(telegram.token, telegram.url)
    assert (await bot.send_message(BEN, "x")).message_id == 5
    await bot.session.close()
