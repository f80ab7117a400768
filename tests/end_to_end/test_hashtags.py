"""Hashtags by the real process: at once after a result, and what others left to write."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from bot.runtime.app import is_any_work
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.clock import utc_now
from storage.db.engine import Database
from storage.schema.source_tables import HashtagRow
from storage.schema.tables import ChannelOwner
from tests.end_to_end.process import USER, environment, running_bot
from tests.storage.rows import add_posts, add_user

CHANNEL = -1001234567890
pytestmark = pytest.mark.timeout(240)


async def test_from_a_post_to_hashtags_in_its_channel(
    database: Database, migrated_url: str, telegram: TelegramSandbox, provider: ProviderSandbox
) -> None:
    """One process receives the post, tags it and writes into the channel; a row that is ready already is found, too."""
    telegram.add_user(USER, "Ben", "en", started=True)
    telegram.add_channel(CHANNEL, "News", "news", bot_is_member=True)
    old = telegram.channel_post(CHANNEL, "An old post")
    telegram.world.updates.clear()
    async with database.write() as session:
        await add_user(session, 2)
        owner = ChannelOwner(telegram_channel_id=CHANNEL, owner_telegram_id=USER, title="News", added_at=utc_now())
        owner.hashtags_since = utc_now()
        session.add(owner)
        await add_posts(session, 2, 1, first=1000, text="An old post", tagging_status="success", tags=["tram line"])
    async with running_bot(environment(migrated_url, telegram, provider)):
        number = telegram.channel_post(CHANNEL, "The city opens a new library on the river bank")
        stored = telegram.world.message(CHANNEL, number)
        assert stored is not None
        await telegram.wait_for(lambda: "\n\n#" in stored.data["text"], 60)
        # As a process leaves it that dies before it can say so: the leader looks every few seconds.
        async with database.write() as session:
            session.add(
                HashtagRow(
                    post_id=1000,
                    chat_id=CHANNEL,
                    message_id=old,
                    is_caption=False,
                    text="An old post",
                    state="waiting",
                    updated_at=utc_now(),
                )
            )
        left = telegram.world.message(CHANNEL, old)
        assert left is not None
        await telegram.wait_for(lambda: left.data["text"] == "An old post\n\n#tram_line", 60)


async def test_the_leader_sees_what_there_is_to_write(database: Database) -> None:
    """By the one query that it asks every few seconds, together with what there is to tell."""
    async with database.write() as session:
        await add_user(session, 2)
        await add_posts(session, 2, 1, tagging_status="success", tags=["a"])
        owner = ChannelOwner(telegram_channel_id=CHANNEL, owner_telegram_id=USER, title="News", added_at=utc_now())
        session.add(owner)
        values = {"chat_id": CHANNEL, "message_id": 1, "is_caption": False, "text": "x", "state": "waiting"}
        session.add(HashtagRow(post_id=1, updated_at=utc_now(), **values))
    async with database.read() as session:
        assert not await session.scalar(is_any_work())
    async with database.write() as session:
        await session.execute(update(ChannelOwner).values(hashtags_since=utc_now()))
    async with database.read() as session:
        assert await session.scalar(is_any_work())
