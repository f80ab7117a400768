"""The leader's duties: all that must run in one process only, because Telegram knows but one bot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

from aiogram import Bot, Dispatcher
from pydantic import SecretStr

from bot import __version__
from bot.delivery.export_jobs import Exports
from bot.delivery.hashtag_writer import HashtagWriter
from bot.delivery.import_jobs import Importer
from bot.delivery.notifier import Notifier
from bot.delivery.retry_progress import Progress
from bot.i18n import I18n
from bot.monitoring.metrics import Metrics
from bot.runtime.background_tasks import Loops
from bot.runtime.bell import Bell
from bot.runtime.engine import Engine
from bot.runtime.scheduler import make_scheduler
from bot.telegram.dispatcher import make_bot, make_dispatcher, publish_commands
from bot.telegram.health import TelegramHealth
from bot.telegram.polling import Polling
from bot.telegram.rate_limit import Pace
from bot.telegram.stored_updates import InboxReader
from bot.telegram.webhook import Webhook
from services.accounts.people import People
from services.clock import utc_now
from services.following.poller import Reader
from services.following.service import Channels
from services.hashtags.service import ChannelHashtags
from services.ingest.channel_posts import Intake
from services.ingest.imports import Imports
from services.ingest.received_updates import Inbox
from services.library.bot_queries import BotQueries
from services.library.export import Exporter
from services.library.feeds import Feeds
from services.notifications.outbox import Outbox
from services.notifications.tagging_alerts import AlertWatch
from services.sources.preview.client import TELEGRAMS_ADDRESS, Preview
from services.tagging.service import TaggingService

#: Handlers in progress may end; then the term is over, whatever still runs.
GRACE_SECONDS, TERM_SECONDS = 10.0, 13.0


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases that handlers call."""

    people: People
    queries: BotQueries
    intake: Intake
    channels: Channels
    outbox: Outbox
    tagging: TaggingService
    imports: Imports
    exporting: Exporter
    feeds: Feeds
    i18n: I18n
    #: Rung when a public channel is to be read at once.
    to_read: Bell


@dataclass(frozen=True, slots=True)
class Reception:
    """What a term needs to receive updates: what a webhook brought, the bell that it rings, how Telegram does."""

    inbox: Inbox
    arrivals: Bell
    health: TelegramHealth


class Leader:
    """Makes what a term of leadership needs, anew for each."""

    def __init__(
        self,
        token: SecretStr,
        engine: Engine,
        services: Services,
        bell: Bell,
        reception: Reception,
        metrics: Metrics,
    ) -> None:
        self._token = token
        self._engine = engine
        self._services = services
        self._bell = bell
        self._reception = reception
        self._metrics = metrics

    @asynccontextmanager
    async def term(self, step_down: Callable[[], None]) -> AsyncIterator[None]:
        """Receive updates, notify, show progress and run the daily jobs while the block runs.

        `step_down` is called when another process is seen to receive the same updates.
        """
        async with AsyncExitStack() as stack:
            pace = Pace()
            bot = make_bot(self._token, self._engine.settings.telegram_api_url, pace)
            stack.push_async_callback(bot.session.close)
            self._reception.health.starting()
            stack.callback(self._reception.health.standby)
            loops = Loops()
            stack.push_async_callback(loops.stop, TERM_SECONDS)
            self._start(bot, pace, loops, stack, step_down)
            self._schedule(stack)
            yield

    def _start(self, bot: Bot, pace: Pace, loops: Loops, stack: AsyncExitStack, step_down: Callable[[], None]) -> None:
        services, i18n, admins = self._services, self._services.i18n, self._engine.settings.admin_ids
        notified = self._metrics.notified
        notifier = Notifier(bot, services.outbox, services.queries, i18n, admins, utc_now, pace, notified)
        hashtags = ChannelHashtags(self._engine.database, self._bell.ring, utc_now)
        writer = HashtagWriter(bot, hashtags, pace)

        def news() -> None:
            notifier.wake()
            writer.wake()

        stack.enter_context(self._bell.heard_by(news))
        progress = Progress(bot, services.tagging, services.people, i18n, utc_now)
        loops.add(notifier.run(), notifier.stop)
        loops.add(progress.run(), progress.stop)
        self._read_channels(loops, stack)
        importer = Importer(bot, services.imports, services.people, i18n)
        loops.add(importer.run(), importer.stop)
        loops.add(writer.run(), writer.stop)
        exports = Exports(bot, services.exporting, i18n, utc_now)
        loops.add(exports.run(), exports.stop)
        loops.add(publish_commands(bot, i18n))
        dispatcher = self._dispatcher(bot, progress, importer, exports, notifier, hashtags)
        self._receive(bot, dispatcher, loops, stack, step_down)

    def _read_channels(self, loops: Loops, stack: AsyncExitStack) -> None:
        settings = self._engine.settings
        preview = Preview(__version__, settings.tme_base_url or TELEGRAMS_ADDRESS)
        stack.push_async_callback(preview.aclose)
        reader = Reader(
            self._engine.database,
            preview,
            settings.admin_ids,
            utc_now,
            Random(),
            on_posts=self._engine.worker.wake,
            on_news=self._bell.ring,
        )
        stack.enter_context(self._services.to_read.heard_by(reader.wake))
        loops.add(reader.run(), reader.stop)

    def _receive(
        self, bot: Bot, dispatcher: Dispatcher, loops: Loops, stack: AsyncExitStack, step_down: Callable[[], None]
    ) -> None:
        """By the webhook, or by polling once what a webhook brought before is in work."""
        settings, reception = self._engine.settings, self._reception
        reader = InboxReader(bot, dispatcher, reception.inbox, on_rival=step_down)
        if settings.webhook_url:
            stack.enter_context(reception.arrivals.heard_by(reader.wake))
            loops.add(Webhook(bot, dispatcher, settings, reception.health).run())
            loops.add(reader.run(), lambda: reader.stop(GRACE_SECONDS))
        else:
            polling = Polling(bot, dispatcher, reception.health, on_conflict=step_down, leftovers=reader)
            loops.add(polling.run(), lambda: polling.stop(GRACE_SECONDS))

    def _dispatcher(
        self,
        bot: Bot,
        progress: Progress,
        importer: Importer,
        exports: Exports,
        notifier: Notifier,
        hashtags: ChannelHashtags,
    ) -> Dispatcher:
        services = self._services

        def on_update(update_type: str, result: str, seconds: float) -> None:
            self._metrics.updated(update_type, result, seconds)
            notifier.wake_soon()

        return make_dispatcher(
            bot,
            people=services.people,
            queries=services.queries,
            intake=services.intake,
            outbox=services.outbox,
            tagging=services.tagging,
            channels=services.channels,
            progress=progress,
            imports=services.imports,
            importer=importer,
            exports=exports,
            feeds=services.feeds,
            i18n=services.i18n,
            hashtags=hashtags,
            on_update=on_update,
        )

    def _schedule(self, stack: AsyncExitStack) -> None:
        settings = self._engine.settings
        alerts = AlertWatch(
            self._engine.database, settings.models, settings.admin_ids, settings.alert_failed_percent, utc_now
        )
        scheduler = make_scheduler(
            self._services.tagging,
            alerts,
            self._engine.worker.wake,
            self._bell.ring,
            interval_seconds=settings.retry_interval_seconds,
            cron=settings.retry_cron,
            cron_limit=settings.retry_cron_limit,
            timezone=settings.timezone,
        )
        scheduler.start()
        stack.callback(scheduler.shutdown, wait=False)
