"""The digest: switched on under /stats, changed by its buttons, and sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from storage.db.engine import Database
from tests.bot.running import ANNA, BEN, Running, running_bot
from tests.services.engine import Clock
from tests.storage.rows import add_posts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def bot(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox, clock: Clock
) -> AsyncIterator[Running]:
    async with running_bot(database, telegram, provider, digest_clock=clock) as made:
        yield made
    assert [error for error in telegram.errors if error.method != "getUpdates"] == []
    assert telegram.unanswered() == []


def buttons(message: dict[str, Any]) -> list[str]:
    return [button["text"] for row in message.get("reply_markup", {}).get("inline_keyboard", []) for button in row]


async def test_a_digest_is_switched_on_changed_and_switched_off(bot: Running, telegram: TelegramSandbox) -> None:
    shown = await bot.say(BEN, "/stats")
    await telegram.press(BEN, shown["message_id"], "🗞 Daily digest")
    settings = await bot.shows(BEN, "Your digest comes every day at 09:00 (UTC)")
    assert buttons(settings) == ["✓ Daily", "Weekly", "🕘 Hour", "Switch off"]
    await telegram.press(BEN, settings["message_id"], "Weekly")
    await bot.shows(BEN, "on Mondays at 09:00", settings["message_id"])
    await telegram.press(BEN, settings["message_id"], "🕘 Hour")
    await bot.shows(BEN, "At what hour", settings["message_id"])
    await telegram.press(BEN, settings["message_id"], "18:00")
    await bot.shows(BEN, "on Mondays at 18:00", settings["message_id"])
    assert "🗞 Digest: Mondays at 18:00" in buttons(await bot.say(BEN, "/stats"))
    assert "🗞 Дайджест раз в день" in buttons(await bot.say(ANNA, "/stats"))
    await telegram.press(BEN, settings["message_id"], "Switch off")
    off = await bot.shows(BEN, "The digest is off", settings["message_id"])
    assert buttons(off) == ["Daily", "Weekly"]


async def test_a_digest_comes_silently_and_leads_to_what_failed(
    bot: Running, telegram: TelegramSandbox, clock: Clock
) -> None:
    due = utc_now().replace(hour=9, minute=0, second=0)
    due -= timedelta(days=due > utc_now())
    clock.ahead = due - timedelta(minutes=1) - utc_now()
    shown = await bot.say(ANNA, "/stats")
    await telegram.press(ANNA, shown["message_id"], "🗞 Дайджест раз в день")
    await bot.shows(ANNA, "Дайджест приходит каждый день в 09:00")
    await _add_long_posts(bot.database, due - timedelta(hours=2))
    clock.ahead = timedelta(0)
    assert await bot.digests.queue_due()
    digest = await bot.shows(ANNA, "Ваш день")
    assert digest["text"].startswith("🗞 Ваш день\n40 новых постов\n\n<тег0>")
    assert 'href="https://e.org/"' in digest["html"]
    sent = [call for call in telegram.calls if "Ваш день" in str(call.params.get("text"))]
    assert [str(call.params["disable_notification"]).lower() for call in sent] == ["true"]
    assert "❌ С ошибкой: 1" in digest["text"]
    await telegram.press(ANNA, digest["message_id"], "❌ Посты с ошибкой")
    await bot.shows(ANNA, "#100")


async def _add_long_posts(database: Database, at: datetime) -> None:
    """More than fits into a message, if none of it was cut."""
    async with database.write() as session:
        for number in range(39):
            await add_posts(
                session,
                1,
                1,
                first=60 + number,
                posted_at=at - timedelta(seconds=number),
                tagging_status="success",
                tags=[f"<тег{number // 4}>" + "г" * 60],
                text="Очень длинный & <b>пост " * 50,
                url="https://e.org/",
            )
        failed = {"tagging_status": "failed", "last_tagging_attempt": at}
        await add_posts(session, 1, 1, first=100, posted_at=at, **failed)
