"""What writes hashtags into channels, when Telegram has faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from bot.delivery import hashtag_writer as product
from bot.telegram import call_retry
from bot.telegram.dispatcher import make_bot
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from services.hashtags.service import ChannelHashtags
from storage.db.engine import Database
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import ChannelOwner
from tests.bot.running import BEN
from tests.storage.rows import add_posts, add_user

TROUBLED, OTHER = -1001234567890, -1001234567891
TEXT = "The city opens a new library on the river bank"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "CHAT_SECONDS", 0.0)
    monkeypatch.setattr(product, "CATCH_UP_EVERY", 0.01)
    monkeypatch.setattr(call_retry, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(call_retry, "LONGEST_PAUSE", 0.02)


async def ready(database: Database, telegram: TelegramSandbox, *chat_ids: int) -> None:
    """A post in each of the channels, whose tags are to be written into it; post 1 in the first."""
    async with database.write() as session:
        await add_user(session, 2)
        for post_id, chat_id in enumerate(chat_ids, 1):
            telegram.add_channel(chat_id, "News", f"news{post_id}", bot_is_member=True)
            number = telegram.channel_post(chat_id, TEXT)
            owner = ChannelOwner(telegram_channel_id=chat_id, owner_telegram_id=BEN, title="News", added_at=utc_now())
            owner.hashtags_since = utc_now()
            session.add(owner)
            await add_posts(session, 2, 1, first=post_id, text=TEXT, tagging_status="success", tags=["tram line"])
            values = {"post_id": post_id, "chat_id": chat_id, "message_id": number, "text": TEXT, "state": "waiting"}
            session.add(HashtagRow(is_caption=False, updated_at=utc_now(), **values))
    telegram.world.updates.clear()


class Clock:
    """Goes as time does, and may be put forward."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@asynccontextmanager
async def writing(database: Database, telegram: TelegramSandbox, clock: Clock) -> AsyncIterator[None]:
    client = make_bot(telegram.token, telegram.url)
    writer = product.HashtagWriter(client, ChannelHashtags(database, lambda: None, utc_now), clock)
    clock.ahead += 2 * product.CATCH_UP_SECONDS
    task = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        writer.stop()
        await task
        await client.session.close()


async def reached(database: Database, post_id: int, state: str) -> HashtagRow:
    async with asyncio.timeout(20):
        while True:
            async with database.read() as session:
                row = await session.get_one(HashtagRow, post_id)
            if row.state == state:
                return row
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_a_message_with_which_telegram_has_trouble_costs_no_other_channel(
    database: Database, telegram: TelegramSandbox
) -> None:
    await ready(database, telegram, TROUBLED, OTHER)
    telegram.fail_next("editMessageText", 500, "Internal Server Error", times=10**6, chat_id=TROUBLED)
    async with writing(database, telegram, Clock()):
        await reached(database, 2, "written")
        assert (await reached(database, 1, "refused")).error == "Internal Server Error"
    tries = [call for call in telegram.calls if call.params.get("chat_id") == str(TROUBLED)]
    assert len([call for call in tries if call.method == "editMessageText"]) == product.MOST_TRIES


async def test_in_a_message_that_was_deleted_no_hashtags_stand(database: Database, telegram: TelegramSandbox) -> None:
    await ready(database, telegram, TROUBLED)
    async with database.write() as session:
        (await session.get_one(HashtagRow, 1)).line = "#before"
    telegram.fail_next("editMessageText", 400, "Bad Request: message to edit not found")
    async with writing(database, telegram, Clock()):
        assert (await reached(database, 1, "refused")).line is None


@pytest.mark.slow
async def test_while_telegram_answers_nothing_no_message_is_given_up(
    database: Database, telegram: TelegramSandbox
) -> None:
    await ready(database, telegram, TROUBLED)
    for method in ("editMessageText", "getChatMember"):
        telegram.fail_next(method, 502, "Bad Gateway", times=product.MOST_TRIES + 5)
    async with writing(database, telegram, Clock()):
        await reached(database, 1, "written")


@pytest.mark.slow
async def test_a_refused_token_gives_no_message_up(database: Database, telegram: TelegramSandbox) -> None:
    await ready(database, telegram, TROUBLED)
    telegram.fail_next("editMessageText", 401, "Unauthorized", times=product.MOST_TRIES + 5)
    async with writing(database, telegram, Clock()):
        await reached(database, 1, "written")


async def test_telegram_away_at_the_start_is_no_bug(database: Database, telegram: TelegramSandbox) -> None:
    """Said in a line each time; and the time to hear what happened begins when it is back."""
    await ready(database, telegram, TROUBLED)
    telegram.fail_next("getWebhookInfo", 502, "Bad Gateway", times=3)
    telegram.push_update({"message": {}})
    with capture_logs() as logs:
        async with writing(database, telegram, Clock()):
            await telegram.wait_for(lambda: len([c for c in telegram.calls if c.method == "getWebhookInfo"]) >= 6)
            assert not [call for call in telegram.calls if call.method == "editMessageText"]
            telegram.world.updates.clear()
            await reached(database, 1, "written")
    assert [line["log_level"] for line in logs if line["event"] == "hashtags_wait_for_telegram"] == ["warning"] * 3
    assert not [line for line in logs if line["log_level"] == "error"]
