"""The leader's duties: what must run in one process only, because Telegram knows one bot."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from aiogram import Bot, Dispatcher
from pydantic import SecretStr

from bot import __version__
from bot.delivery.database_alerts import DatabaseAlerts
from bot.delivery.export_jobs import ExportJobs
from bot.delivery.hashtag_writer import HashtagWriter
from bot.delivery.import_jobs import ImportJobs
from bot.delivery.notice_messages import NoticeMessages
from bot.delivery.notifier import Notifier
from bot.delivery.retry_progress import ProgressMessages
from bot.handlers import make_routers
from bot.i18n import I18n
from bot.monitoring.metrics import Metrics
from bot.runtime.background_tasks import BackgroundTasks
from bot.runtime.engine import Engine
from bot.runtime.scheduler import make_scheduler
from bot.runtime.signals import Signal
from bot.telegram.dispatcher import make_bot, make_dispatcher, publish_commands
from bot.telegram.health import TelegramHealth
from bot.telegram.polling import Polling
from bot.telegram.stored_updates import StoredUpdates
from bot.telegram.webhook import Webhook
from services.accounts.people import People
from services.accounts.preferences import Preferences
from services.availability.rate_limit import RateLimit
from services.availability.reachability import OutageWatch
from services.charts.activity import Activities
from services.charts.process import ChartDrawing
from services.clock import utc_now
from services.following.poller import Poller
from services.following.service import ChannelService
from services.hashtags.service import ChannelHashtags
from services.ingest.channel_posts import ChannelPosts
from services.ingest.imports import Imports
from services.ingest.received_updates import ReceivedUpdates
from services.library.bot_queries import BotQueries
from services.library.digests import Digests
from services.library.export import Exporter
from services.library.feeds import Feeds
from services.library.search import Search
from services.library.search_index import SearchIndex
from services.library.watches import WatchDelivery, Watches
from services.notifications.outbox import Outbox
from services.notifications.provider_alerts import AlertWatch
from services.notifications.update_alerts import UpdateAlerts
from services.sources.preview.client import TELEGRAM_URL, PreviewClient
from services.tagging.rules_trial import RulesTrial
from services.tagging.service import TaggingService
from services.tagging.similar_tags import SimilarTags
from services.tags.changes import TagRewriting
from services.tags.counting import TagCounting
from services.tags.post_tags import PostTags
from services.tags.user_rules import UserRules
from services.tags.vocabulary import Vocabularies

#: Longer than GRACE_SECONDS of the handlers.
TERM_SECONDS = 13.0


@dataclass(frozen=True, slots=True)
class Services:
    people: People
    queries: BotQueries
    digests: Digests
    search: Search
    watches: Watches
    channel_posts: ChannelPosts
    channels: ChannelService
    outbox: Outbox
    preferences: Preferences
    activities: Activities
    charts: ChartDrawing
    tagging: TaggingService
    rules: UserRules
    rules_trial: RulesTrial
    imports: Imports
    exporting: Exporter
    feeds: Feeds
    i18n: I18n
    #: Sent when a public channel must be read at once.
    to_read: Signal


@dataclass(frozen=True, slots=True)
class Reception:
    """`arrivals` is sent when a webhook has brought an update."""

    inbox: ReceivedUpdates
    arrivals: Signal
    health: TelegramHealth


class Leader:
    """Builds what a term of leadership needs, anew for each term."""

    def __init__(
        self,
        token: SecretStr,
        engine: Engine,
        services: Services,
        news: Signal,
        reception: Reception,
        metrics: Metrics,
    ) -> None:
        self._token = token
        self._engine = engine
        self._services = services
        self._news = news
        self._reception = reception
        self._metrics = metrics

    @asynccontextmanager
    async def term(self, step_down: Callable[[], None]) -> AsyncIterator[None]:
        """The duties run while the block runs. `step_down`: another process receives the same updates."""
        async with AsyncExitStack() as stack:
            bot = make_bot(self._token, self._engine.settings.telegram_api_url, self._engine.settings.proxies)
            stack.push_async_callback(bot.session.close)
            self._reception.health.starting()
            stack.callback(self._reception.health.standby)
            tasks = BackgroundTasks()
            dispatcher = self._start_delivery(bot, tasks, stack)
            self._start_reading(tasks, stack)
            self._watch_outages(tasks)
            self._start_receiving(bot, dispatcher, tasks, stack, step_down)
            # Runs before the connections that the tasks use are closed.
            stack.push_async_callback(tasks.stop, TERM_SECONDS)
            self._schedule(stack)
            yield

    def _start_delivery(self, bot: Bot, tasks: BackgroundTasks, stack: AsyncExitStack) -> Dispatcher:
        services, i18n = self._services, self._services.i18n
        messages = NoticeMessages(
            services.queries, services.digests, services.watches, i18n, self._engine.settings.admin_ids
        )
        notifier = Notifier(bot, services.outbox, messages, utc_now, self._metrics.notified)
        hashtags = ChannelHashtags(self._engine.database, self._news.send, utc_now)
        writer = HashtagWriter(bot, hashtags)
        progress = ProgressMessages(bot, services.tagging, services.people, i18n, utc_now)
        importer = ImportJobs(bot, services.imports, services.people, i18n)
        database = self._engine.database
        index = SearchIndex(database, enabled=self._engine.settings.search_index)
        counting, rewriting = TagCounting(database, utc_now), TagRewriting(database)
        watching = WatchDelivery(
            database, services.people, ZoneInfo(self._engine.settings.timezone), utc_now, notifier.wake
        )
        for task in (notifier, writer, progress, importer, index, counting, rewriting, watching):
            tasks.start(task.run(), task.stop)
        alerts = DatabaseAlerts(bot, self._engine.database, self._engine.settings.admin_ids, services.people, i18n)
        tasks.start(alerts.run())
        exports = ExportJobs(bot, services.exporting, i18n, utc_now)
        stack.push_async_callback(exports.stop)
        tasks.start(publish_commands(bot, i18n))

        def on_news() -> None:
            notifier.wake()
            writer.wake()

        stack.enter_context(self._news.received_by(on_news))
        vocabularies = Vocabularies(self._engine.database, utc_now, rewriting.wake)
        settings = self._engine.settings
        similar_tags = SimilarTags(
            database,
            self._engine.provider,
            settings.models,
            RateLimit(settings.tagging_requests_per_minute),
            vocabularies,
            utc_now,
            enabled=settings.tagging_enabled,
        )
        return self._dispatcher(
            notifier,
            similar_tags=similar_tags,
            progress=progress,
            importer=importer,
            exports=exports,
            hashtags=hashtags,
            vocabularies=vocabularies,
            post_tags=PostTags(self._engine.database, utc_now),
        )

    def _dispatcher(self, notifier: Notifier, **delivery: Any) -> Dispatcher:
        services = self._services

        def on_update(update_type: str, result: str, seconds: float) -> None:
            self._metrics.updated(update_type, result, seconds)
            notifier.wake_soon()

        return make_dispatcher(
            make_routers(),
            people=services.people,
            i18n=services.i18n,
            on_update=on_update,
            queries=services.queries,
            digests=services.digests,
            search=services.search,
            watches=services.watches,
            channel_posts=services.channel_posts,
            outbox=services.outbox,
            preferences=services.preferences,
            activities=services.activities,
            charts=services.charts,
            tagging=services.tagging,
            rules=services.rules,
            rules_trial=services.rules_trial,
            channels=services.channels,
            imports=services.imports,
            feeds=services.feeds,
            **delivery,
        )

    def _start_reading(self, tasks: BackgroundTasks, stack: AsyncExitStack) -> None:
        settings = self._engine.settings
        preview = PreviewClient(__version__, settings.tme_base_url or TELEGRAM_URL, proxies=settings.proxies)
        stack.push_async_callback(preview.aclose)
        poller = Poller(
            self._engine.database,
            preview,
            settings.admin_ids,
            utc_now,
            Random(),
            on_posts=self._engine.worker.wake,
            on_news=self._news.send,
        )
        stack.enter_context(self._services.to_read.received_by(poller.wake))
        tasks.start(poller.run(), poller.stop)

    def _watch_outages(self, tasks: BackgroundTasks) -> None:
        engine = self._engine
        if engine.settings.tagging_enabled:
            watch = OutageWatch(engine.database, engine.provider, engine.settings.models, engine.worker.wake, utc_now)
            tasks.start(watch.run(), watch.stop)

    def _start_receiving(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        tasks: BackgroundTasks,
        stack: AsyncExitStack,
        step_down: Callable[[], None],
    ) -> None:
        """Receive by the webhook; or by polling, after what a webhook brought before."""
        settings, reception = self._engine.settings, self._reception
        is_webhook = settings.webhook_url is not None
        alerts = UpdateAlerts(self._engine.database, settings.admin_ids, utc_now, self._news.send)
        stored = StoredUpdates(
            bot,
            dispatcher,
            reception.inbox,
            on_rival=step_down,
            until_empty=not is_webhook,
            on_unreadable=alerts.unreadable,
        )
        if is_webhook:
            stack.enter_context(reception.arrivals.received_by(stored.wake))
            tasks.start(Webhook(bot, dispatcher, settings, reception.health).run())
            tasks.start(stored.run(), stored.stop)
        else:
            polling = Polling(
                bot,
                dispatcher,
                reception.health,
                on_conflict=step_down,
                leftovers=stored,
                on_unreadable=alerts.unreadable,
            )
            tasks.start(polling.run(), polling.stop)

    def _schedule(self, stack: AsyncExitStack) -> None:
        settings = self._engine.settings
        alerts = AlertWatch(
            self._engine.database, settings.models, settings.admin_ids, settings.alert_failed_percent, utc_now
        )
        scheduler = make_scheduler(
            self._services.tagging,
            alerts,
            self._services.digests,
            self._engine.worker.wake,
            self._news.send,
            interval_seconds=settings.retry_interval_seconds,
            cron=settings.retry_cron,
            cron_limit=settings.retry_cron_limit,
            timezone=settings.timezone,
        )
        scheduler.start()
        stack.callback(scheduler.shutdown, wait=False)
