"""A bot with nothing to do asks the database next to nothing, and still notices at once what there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event
from sqlalchemy import text as sql

from bot.delivery import notifier as product
from bot.delivery.hashtag_writer import HashtagWriter
from bot.delivery.notice_messages import NoticeMessages
from bot.delivery.notifier import Notifier
from bot.i18n import I18n
from bot.runtime.scheduler import make_scheduler
from bot.settings import Settings
from bot.telegram.dispatcher import make_bot
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.accounts.people import People
from services.clock import utc_now
from services.hashtags.service import ChannelHashtags
from services.library.bot_queries import BotQueries
from services.library.digests import Digests
from services.library.search_index import SearchIndex
from services.library.watches import Watches
from services.notifications.outbox import Outbox
from services.notifications.provider_alerts import AlertWatch
from services.tagging.service import TaggingService
from storage import outbox as rows
from storage.db.coordination import BEAT_SECONDS, NEWS_CHANNEL, WORK_CHANNEL, Coordination, Look
from storage.db.engine import Database
from tests.bot.running import BOSS, until
from tests.services.engine import CHAIN, running
from tests.statements import Statements, noted

OUTBOX = "metka_outbox"


@asynccontextmanager
async def resting(database: Database, telegram: TelegramSandbox) -> AsyncIterator[Notifier]:
    """A notifier that has looked, and found nothing to tell."""
    with noted(database) as statements:
        async with notifying(database, telegram) as notifier:
            await statements.until(OUTBOX)
            await time_for_more(database)
            yield notifier


@asynccontextmanager
async def notifying(database: Database, telegram: TelegramSandbox) -> AsyncIterator[Notifier]:
    """A notifier at work."""
    telegram.add_user(BOSS, "Boss", "en", started=True)
    bot = make_bot(telegram.token, telegram.url)
    i18n = I18n(ZoneInfo("UTC"), utc_now)
    outbox, queries = Outbox(database, utc_now), BotQueries(database, utc_now)
    watches = Watches(database, queries, ZoneInfo("UTC"), utc_now)
    notifier = Notifier(bot, outbox, NoticeMessages(queries, made_digests(database), watches, i18n, {BOSS}), utc_now)
    task = asyncio.create_task(notifier.run())
    try:
        yield notifier
    finally:
        notifier.stop()
        await task
        await bot.session.close()


def made_digests(database: Database) -> Digests:
    return Digests(database, People(database, {BOSS}, utc_now), ZoneInfo("UTC"), utc_now)


async def tell(database: Database, in_seconds: float = 0) -> None:
    async with database.write() as session:
        later = utc_now() + timedelta(seconds=in_seconds)
        await rows.tell_admins(session, [BOSS], {"text": "recovered"}, utc_now(), ready_at=later)


async def time_for_more(database: Database) -> None:
    """As long as a loop without a rest takes for many looks."""
    for _ in range(30):
        async with database.read() as session:
            await session.execute(sql("SELECT 1"))


async def test_without_anything_to_tell_it_is_not_looked_for(
    database: Database, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look at the start, and one each time that it is woken, at once or soon."""
    monkeypatch.setattr(product, "EVERY_SECONDS", 0.0)
    with noted(database) as statements:
        async with notifying(database, telegram) as notifier:
            await statements.until(OUTBOX)
            await time_for_more(database)
            assert statements.about(OUTBOX) == 1
            notifier.wake()
            await statements.until(OUTBOX, 2)
            await time_for_more(database)
            notifier.wake_soon()
            await statements.until(OUTBOX, 3)
            await time_for_more(database)
            monkeypatch.setattr(product, "EVERY_SECONDS", 3600.0)
            notifier.wake_soon()
            await time_for_more(database)
            assert statements.about(OUTBOX) == 3


async def test_without_hashtags_to_write_they_are_not_looked_for(database: Database, telegram: TelegramSandbox) -> None:
    """One look at the start, and one each time that there may be some; nothing is asked of Telegram."""
    bot = make_bot(telegram.token, telegram.url)
    writer = HashtagWriter(bot, ChannelHashtags(database, _nothing, utc_now))
    with noted(database) as statements:
        task = asyncio.create_task(writer.run())
        await statements.until("metka_hashtags")
        await time_for_more(database)
        assert statements.about("metka_hashtags") == 1
        writer.wake()
        await statements.until("metka_hashtags", 2)
        await time_for_more(database)
        assert statements.about("metka_hashtags") == 2
    writer.stop()
    await task
    await bot.session.close()
    assert telegram.calls == []


async def test_what_is_to_be_told_soon_is_looked_for(
    database: Database, telegram: TelegramSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not due yet, and nobody will say so when it is."""
    monkeypatch.setattr(product, "EVERY_SECONDS", 0.0)
    await tell(database, in_seconds=1)
    async with notifying(database, telegram):
        await telegram.wait_for(lambda: telegram.from_bot(BOSS), 20)


async def test_news_are_told_at_once(database: Database, telegram: TelegramSandbox) -> None:
    """A worker of the same process says that there are some: nobody else does."""
    async with resting(database, telegram) as notifier:
        coordination = Coordination(database, {NEWS_CHANNEL: notifier.wake}, duties=_duties)
        task = asyncio.create_task(coordination.run())
        await until(lambda: coordination.is_leader)
        await tell(database)
        coordination.tell_leader()
        await telegram.wait_for(lambda: telegram.from_bot(BOSS), 20)
        coordination.stop()
        await task


async def test_what_was_left_to_tell_is_found_by_the_leader(database: Database, telegram: TelegramSandbox) -> None:
    """By what it asks every few seconds: who wrote it died before it could say so."""
    async with resting(database, telegram) as notifier:
        await tell(database)
        coordination = Coordination(
            database, {WORK_CHANNEL: _nothing}, duties=_duties, look=Look(rows.is_any_open, notifier.wake)
        )
        task = asyncio.create_task(coordination.run())
        await telegram.wait_for(lambda: telegram.from_bot(BOSS), 20)
        coordination.stop()
        await task


@asynccontextmanager
async def _duties(_step_down: object) -> AsyncIterator[None]:
    yield


def _nothing() -> None:
    return None


async def test_an_alert_is_told_at_once(database: Database) -> None:
    """By the scheduler's look, which finds that a pause is over."""
    async with database.write() as session:
        await rows.tell_admins(session, [BOSS], {"text": "outage"}, utc_now(), topic="pause")
        await session.execute(sql("UPDATE metka_outbox SET done_at = created_at"))
    told: list[str] = []
    scheduler = make_scheduler(
        cast("TaggingService", None),  # not called
        AlertWatch(database, CHAIN, {BOSS}, 20, utc_now),
        made_digests(database),
        _nothing,
        lambda: told.append("news"),
        interval_seconds=30,
        cron="",
        cron_limit=1,
        timezone="UTC",
    )
    await scheduler.get_job("watch").func()
    assert told == ["news"]
    await scheduler.get_job("watch").func()
    assert told == ["news"]


async def test_an_idle_bot_asks_less_than_once_a_second(database: Database, provider: ProviderSandbox) -> None:
    """The worker's turn and the look at the alerts at each tick, the leader's look, and that for changed posts."""
    tick = Settings.model_fields["retry_interval_seconds"].default
    with noted(database) as statements:
        turn = await _of_a_turn(database, provider, statements)
        statements.forget()
        await AlertWatch(database, CHAIN, {BOSS}, 20, utc_now).check()
        watch = len(statements.made)
        index = SearchIndex(database, enabled=True)
        for _ in range(3):
            statements.forget()
            pause = await index.work()
        look = len(statements.made)
    assert (turn + watch) / tick + 1 / BEAT_SECONDS + look / (pause or 0) <= 0.7


async def _of_a_turn(database: Database, provider: ProviderSandbox, statements: Statements) -> int:
    """How many statements a worker makes that finds nothing to do."""
    turns: list[int] = []

    def ended(_connection: object) -> None:
        turns.append(len(statements.made))
        statements.forget()

    event.listen(database.engine.sync_engine, "commit", ended)
    async with running(database, provider) as engine:
        # The first turn makes rows that every later one finds.
        for count in (1, 2, 3):
            engine.worker.wake()
            await until(lambda count=count: len(turns) >= count)  # type: ignore[misc]
    event.remove(database.engine.sync_engine, "commit", ended)
    return turns[2]
