"""The whole bot in this process, over real HTTP against the stand-ins, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text as sql

from bot.delivery.export_jobs import ExportJobs
from bot.delivery.hashtag_writer import HashtagWriter
from bot.delivery.import_jobs import ImportJobs
from bot.delivery.notice_messages import NoticeMessages
from bot.delivery.notifier import Notifier
from bot.delivery.retry_progress import ProgressMessages
from bot.handlers import make_routers
from bot.i18n import I18n
from bot.monitoring.metrics import Metrics
from bot.telegram.dispatcher import make_bot, make_dispatcher
from bot.telegram.health import TelegramHealth
from bot.telegram.polling import Polling
from sandbox.provider import ProviderSandbox
from sandbox.telegram import TelegramSandbox
from services.accounts.people import People
from services.accounts.preferences import Preferences
from services.charts.activity import Activities
from services.charts.process import ChartDrawing
from services.clock import utc_now
from services.following.service import ChannelService
from services.hashtags.service import ChannelHashtags
from services.ingest.channel_posts import ChannelPosts
from services.ingest.imports import Imports
from services.library.bot_queries import BotQueries
from services.library.digests import Digests
from services.library.export import Exporter
from services.library.feeds import Feeds
from services.library.search import Search
from services.library.watches import WatchDelivery, Watches
from services.notifications.outbox import Outbox
from services.notifications.update_alerts import UpdateAlerts
from services.tagging.service import TaggingService
from services.tags.post_tags import PostTags
from services.tags.user_rules import UserRules
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database
from tests.services.engine import CHAIN, running
from tests.storage.rows import add_posts, add_user

#: The administrator, and two users with posts of their own.
BOSS, ANNA, BEN, STRANGER = 900, 1001, 1002, 555
#: Bytes of a file that the bot sends; Telegram takes many more.
LARGEST_FILE = 300_000


@dataclass
class Running:
    """The bot at work."""

    database: Database
    telegram: TelegramSandbox
    tagging: TaggingService
    outbox: Outbox
    queries: BotQueries
    digests: Digests
    watching: WatchDelivery
    notifier: Notifier
    writer: HashtagWriter

    async def say(self, user_id: int, text: str) -> dict[str, Any]:
        """Write to the bot and get its next message."""
        before = len(self.telegram.from_bot(user_id))
        self.telegram.send_text(user_id, text)
        return await self.telegram.wait_for(lambda: next(iter(self.telegram.from_bot(user_id)[before:]), None))

    async def shows(self, user_id: int, words: str, message_id: int | None = None) -> dict[str, Any]:
        """Wait for a message of the bot's (that one, or any) with these words."""

        def found() -> dict[str, Any] | None:
            messages = self.telegram.from_bot(user_id)
            return next(
                (m for m in messages if words in m["text"] and message_id in {None, m["message_id"]}),
                None,
            )

        return await self.telegram.wait_for(found, 20)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what changes without the sandbox's chats changing."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - many different things are waited for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running_bot(
    database: Database,
    telegram: TelegramSandbox,
    provider: ProviderSandbox,
    metrics: Metrics | None = None,
    *,
    again: bool = False,
    public_url: str | None = None,
    admins: frozenset[int] = frozenset({BOSS}),
    chain: tuple[str, ...] = CHAIN,
    clock: Callable[[], datetime] = utc_now,
    press_answered_within: float = 60.0,
    search_enabled: bool = True,
    digest_clock: Callable[[], datetime] = utc_now,
) -> AsyncIterator[Running]:
    """A bot with an administrator, and with Anna (ru, posts 1–3) and Ben (en, posts 11–13).

    `again`: after an earlier one on the same database; `clock`: the worker's; `press_answered_within`: long, since a
    loaded machine is slow.
    """
    for person, name, language in ((BOSS, "Boss", "en"), (ANNA, "Анна", "ru"), (BEN, "Ben", "en")):
        telegram.add_user(person, name, language, started=True)
    telegram.add_user(STRANGER, "<Eve>", "en", "eve")
    if not again:
        await _fill(database)
    async with running(database, provider, chain=chain, clock=clock) as engine:
        bot = make_bot(telegram.token, telegram.url)
        i18n = I18n(ZoneInfo("UTC"), utc_now)
        people = People(database, admins, utc_now)
        outbox, queries = Outbox(database, utc_now), BotQueries(database, utc_now)
        notified = None if metrics is None else metrics.notified
        digests = Digests(database, people, ZoneInfo("UTC"), digest_clock)
        watches = Watches(database, queries, ZoneInfo("UTC"), utc_now)
        notifier = Notifier(bot, outbox, NoticeMessages(queries, digests, watches, i18n, admins), utc_now, notified)
        watching = WatchDelivery(database, people, ZoneInfo("UTC"), utc_now, notifier.wake)
        progress = ProgressMessages(bot, engine.tagging, people, i18n, utc_now)
        imports = Imports(database, engine.worker.wake, utc_now)
        importer = ImportJobs(bot, imports, people, i18n)
        hashtags = ChannelHashtags(database, lambda: None, utc_now)
        writer = HashtagWriter(bot, hashtags)
        exports = ExportJobs(bot, Exporter(database), i18n, utc_now, largest=LARGEST_FILE)
        dispatcher = make_dispatcher(
            make_routers(),
            people=people,
            queries=queries,
            digests=digests,
            watches=watches,
            search=Search(database, queries, enabled=search_enabled),
            channel_posts=ChannelPosts(database, people, engine.worker.wake, utc_now),
            outbox=outbox,
            preferences=Preferences(database, ZoneInfo("UTC"), utc_now),
            activities=Activities(database, ZoneInfo("UTC"), utc_now),
            charts=ChartDrawing(),
            tagging=engine.tagging,
            rules=UserRules(database, utc_now),
            rules_trial=engine.trial,
            similar_tags=engine.similar,
            channels=ChannelService(database, lambda: None, utc_now),
            progress=progress,
            imports=imports,
            importer=importer,
            exports=exports,
            feeds=Feeds(database, people, public_url, utc_now),
            i18n=i18n,
            hashtags=hashtags,
            vocabularies=Vocabularies(database, utc_now, lambda: None),
            post_tags=PostTags(database, utc_now),
            on_update=None if metrics is None else metrics.updated,
            press_answered_within=press_answered_within,
        )
        alerts = UpdateAlerts(database, admins, utc_now)
        polling = Polling(bot, dispatcher, TelegramHealth(utc_now), on_unreadable=alerts.unreadable)
        nudge = asyncio.create_task(_nudge(notifier, writer))
        tasks = (polling, notifier, progress, importer, writer)
        running_tasks = [asyncio.create_task(task.run()) for task in tasks]
        try:
            yield Running(database, telegram, engine.tagging, outbox, queries, digests, watching, notifier, writer)
        finally:
            nudge.cancel()
            for task in tasks:
                task.stop()
            await asyncio.gather(*running_tasks)
            await exports.stop()
            await bot.session.close()


async def _nudge(notifier: Notifier, writer: HashtagWriter) -> None:
    """As the worker's news does."""
    while True:
        await asyncio.sleep(0.1)
        notifier.wake()
        writer.wake()


async def _fill(database: Database) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        done = {"tagging_status": "success", "tags": ["старый"]}
        await add_posts(session, 1, 2, first=1, **done)
        failed = {
            "tagging_status": "failed",
            "tagging_attempts": 5,
            "tagging_error": "HTTP 503: the provider failed (m)",
        }
        await add_posts(session, 1, 1, first=3, **failed)
        await add_posts(session, 2, 3, first=11, **{**failed, "tagging_error": "odd <b> & error"})
        if not database.is_sqlite:
            # The rows above have ids of their own: the next ones go on after them.
            for table in ("users", "channels", "posts"):
                await session.execute(sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 100)"))
