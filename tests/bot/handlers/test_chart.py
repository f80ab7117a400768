"""📈 under /stats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from storage.db.engine import Database
from tests.bot.running import ANNA, BEN, Running, running_bot
from tests.storage.rows import add_posts

PNG = b"\x89PNG\r\n"


@pytest.fixture
async def bot(database: Database, telegram: TelegramSandbox, provider: ProviderSandbox) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider) as made:
        yield made
    assert telegram.unanswered() == []


async def test_a_picture_is_sent(bot: Running, telegram: TelegramSandbox) -> None:
    async with bot.database.write() as session:
        done = {"tagging_status": "success", "tags": ["музеи", "город"]}
        await add_posts(session, 1, 2, first=31, **{**done, "posted_at": utc_now() - timedelta(days=2)})
    shown = await bot.say(ANNA, "/stats")
    await telegram.press(ANNA, shown["message_id"], "📈 График")

    def picture() -> str | None:
        sent = telegram.from_bot(ANNA)[-1]
        return sent["photo"][0]["file_id"] if "photo" in sent else None

    file_id = await telegram.wait_for(picture, 60)
    assert telegram.world.files[file_id].startswith(PNG)


async def test_without_new_posts_there_is_none(bot: Running, telegram: TelegramSandbox) -> None:
    shown = await bot.say(BEN, "/stats")
    assert (await telegram.press(BEN, shown["message_id"], "📈 Chart")).text == "No posts in the last 30 days."
