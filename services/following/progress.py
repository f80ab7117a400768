"""Which page the poller requests next, and what its answer changes: each answer in one transaction."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.following import coverage, schedule
from services.following.channel_update import ChannelUpdate
from services.following.coverage import EVERYTHING, Coverage, History
from services.ingest.store import StoreResult, lock_channels
from services.notifications.preview_alerts import PreviewAlerts
from services.sources.base import (
    UNKNOWN,
    Delivery,
    SourceChannel,
    SourceError,
    SourceGoneError,
    SourceUnreadableError,
)
from storage.channels import follows
from storage.channels.follows import Audience, Follower
from storage.db.engine import Database
from storage.queue.claim import Priority
from storage.schema import parser_tables
from storage.schema.source_tables import SourceRow
from storage.schema.tables import Channel

log = structlog.get_logger(__name__)

TELL_EVERY = 100
#: One request of this many is for gaps and older posts, even while channels are due.
BACKLOG_EVERY = 3


class PageKind(StrEnum):
    NEWEST = "newest"
    #: Messages between two polls that did not fit on the newest page.
    GAP = "gap"
    OLDER = "older"


@dataclass(frozen=True, slots=True)
class PollRequest:
    """`position`: as `Source.deliveries` takes it; `even_if_unchanged`: a user lacks the newest page."""

    channel_id: int
    name: str
    kind: PageKind
    position: int = 0
    even_if_unchanged: bool = False


class PollProgress:
    """How far the followed channels are read, in the database."""

    def __init__(
        self,
        database: Database,
        admin_ids: Collection[int],
        random: Random,
        *,
        on_posts: Callable[[], None],
        on_news: Callable[[], None],
    ) -> None:
        self._database = database
        self._admin_ids = admin_ids
        self._random = random
        self._on_posts = on_posts
        self._on_news = on_news
        self._alerts = PreviewAlerts(admin_ids)
        # The channel and user whose gap or older posts were requested last: users take turns.
        self._last_backlog = (0, 0)
        self._requests = 0

    async def next_request(self, now: datetime) -> PollRequest | None:
        """The next page: of due channels, and every BACKLOG_EVERY requests of gaps and older posts first."""
        async with self._database.read() as session:
            if not await follows.may_be_due(session, now):
                return None
            audience = await self._audience(session)
            self._requests += 1
            kinds = [self._newest_page, self._backlog_page]
            for find in reversed(kinds) if self._requests % BACKLOG_EVERY == 0 else kinds:
                request = await find(session, audience, now)
                if request is not None:
                    return request
        async with self._database.write() as session:
            await follows.drop_unread(session)
        return None

    async def _newest_page(self, session: AsyncSession, audience: Audience, now: datetime) -> PollRequest | None:
        source = await follows.due_check(session, audience, now)
        if source is None:
            return None
        is_asked_for = source.interval_seconds is None
        return PollRequest(source.channel_id, source.name, PageKind.NEWEST, even_if_unchanged=is_asked_for)

    async def _backlog_page(self, session: AsyncSession, audience: Audience, now: datetime) -> PollRequest | None:
        found = await follows.due_backlog(session, audience, now, self._last_backlog)
        if found is None:
            return None
        source, follow = found
        self._last_backlog = (follow.channel_id, follow.user_id)
        if follow.gap_before is not None and not follow.is_new:
            return PollRequest(source.channel_id, source.name, PageKind.GAP, follow.gap_before)
        return PollRequest(source.channel_id, source.name, PageKind.OLDER, follow.oldest_id or 0)

    async def store(self, request: PollRequest, delivery: Delivery | None, now: datetime) -> None:
        """Store a page for all followers; None: the channel has nothing new, or nothing there."""
        results: list[StoreResult] = []
        async with self._database.write() as session:
            update = await self._open(session, request, now)
            is_merged = update is None or (delivery is not None and await update.joins_known_channel(delivery))
            if update is not None and not is_merged:
                results = [await self._store_for(update, request, one, delivery) for one in update.followers]
                await self._finish(update, request, delivery)
        new, edited = sum(result.new for result in results), sum(result.edited for result in results)
        log.info("channel_read", channel=request.name, part=request.kind.value, new=new, edited=edited)
        if any(result.queued for result in results):
            self._on_posts()
        self._on_news()

    async def store_failure(self, request: PollRequest, error: SourceError, now: datetime) -> None:
        """Store why a channel cannot be read and when it is polled again; tell people what is new to them."""
        async with self._database.write() as session:
            update = await self._open(session, request, now)
            if update is None:
                return
            source, problem = update.source, _problem(error)
            # That the server does not answer is no news of a channel that is gone or unreadable.
            is_news = problem != source.problem and not (source.problem and problem == "unavailable")
            if is_news:
                source.problem, source.problem_since = problem, now
            source.problem_detail = str(error)[:500]
            wait = schedule.GONE if problem == "gone" else schedule.backoff(source.failures + 1, self._random)
            _put_off(source, now, wait)
            await session.flush()
            if is_news:
                await self._tell_problem(update, problem)
            log.warning("channel_not_read", channel=request.name, problem=problem, error=str(error))
        self._on_news()

    async def postpone(self, request: PollRequest, now: datetime) -> None:
        async with self._database.write() as session:
            source = await follows.hold(session, request.channel_id)
            if source is not None:
                _put_off(source, now, schedule.backoff(source.failures + 1, self._random))

    async def _open(self, session: AsyncSession, request: PollRequest, now: datetime) -> ChannelUpdate | None:
        """The channel, locked until the transaction ends; None if it was removed."""
        channel = await session.get(Channel, request.channel_id)
        if channel is None:
            return None
        await lock_channels(session, SourceChannel(channel.channel_id, request.name, ""))
        source = await follows.hold(session, request.channel_id)
        if source is None:
            return None
        followers = await follows.followers(session, request.channel_id, await self._audience(session), now)
        return ChannelUpdate(session, source, channel, followers, now)

    async def _store_for(
        self, update: ChannelUpdate, request: PollRequest, follower: Follower, delivery: Delivery | None
    ) -> StoreResult:
        follow = follower.follow
        if request.kind is PageKind.NEWEST and delivery is not None:
            return await self._store_newest(update, follower, delivery)
        if request.kind is PageKind.GAP and follow.gap_before == request.position:
            _set_coverage(follower, coverage.after_gap_page(_coverage_of(follower), delivery))
            page = _from(delivery or _empty(update), follow.oldest_id or 0)
            return await update.store(follower, page, Priority.FRESH)
        # A page of older posts serves all followers who are as far back and want more.
        if request.kind is PageKind.OLDER and follow.oldest_id == request.position and follow.older_wanted:
            history, taken = coverage.older_posts(_history_of(follower), delivery)
            return await self._store_older(update, follower, history, replace(delivery or _empty(update), posts=taken))
        return StoreResult(request.channel_id)

    async def _store_newest(self, update: ChannelUpdate, follower: Follower, delivery: Delivery) -> StoreResult:
        oldest = follower.follow.oldest_id
        if oldest is None:
            _set_coverage(follower, coverage.after_newest_page(Coverage(None), delivery))
            history, taken = coverage.first_posts(_history_of(follower), delivery)
            return await self._store_older(update, follower, history, replace(delivery, posts=taken))
        _set_coverage(follower, coverage.after_newest_page(_coverage_of(follower), delivery))
        return await update.store(follower, _from(delivery, oldest), Priority.FRESH)

    async def _store_older(
        self, update: ChannelUpdate, follower: Follower, history: History, delivery: Delivery
    ) -> StoreResult:
        follow, before = follower.follow, follower.follow.older_read
        asked = before + follow.older_wanted
        result = await update.store(follower, delivery, Priority.BACKFILL)
        follow.oldest_id, follow.at_beginning = history.oldest, history.at_beginning
        follow.older_wanted, follow.older_read = history.wanted, history.read
        done = history.wanted == 0
        if follow.is_new and done:
            payload = {"text": "added", "posts": history.read, "at_beginning": history.at_beginning}
            await update.tell(follower, payload)
        elif not follow.is_new and (done or history.read // TELL_EVERY > before // TELL_EVERY):
            wanted = asked if asked < EVERYTHING // 2 else EVERYTHING
            numbers = {"read": history.read, "wanted": wanted, "done": done, "at_beginning": history.at_beginning}
            await update.tell(follower, {"text": "older", **numbers})
        if done:
            follow.is_new, follow.older_read, follow.chat_id, follow.message_id = False, 0, None, None
        return result

    async def _finish(self, update: ChannelUpdate, request: PollRequest, delivery: Delivery | None) -> None:
        source, now = update.source, update.now
        if request.kind is PageKind.NEWEST:
            source.checked_at = now
            await follows.note_parsed(update.session, source.channel_id, now)
            if delivery is not None:
                posted = [post.posted_at for post in delivery.posts]
                source.interval_seconds = round(schedule.interval(posted, now, self._random))
                unknown = delivery.skipped.get(UNKNOWN, 0)
                await self._alerts.unknown(update.session, source.channel_id, source.name, unknown, now)
            # A user who asked during the request gets the page next, even if it is unchanged.
            is_asked_for = source.interval_seconds is None and not request.even_if_unchanged
            if not is_asked_for:
                wait = float(source.interval_seconds or schedule.DEFAULT)
                source.next_check_at = now + timedelta(seconds=wait)
        await self._clear_problem(update)

    async def _tell_problem(self, update: ChannelUpdate, problem: str) -> None:
        source = update.source
        if problem == "unreadable":
            await self._alerts.unreadable(update.session, source.name, update.now)
        for follower in update.followers:
            is_first = follower.follow.is_new and follower.follow.oldest_id is None
            if problem == "gone":
                await update.tell(follower, {"text": "gone", "first": is_first})
            elif is_first:
                await update.tell(follower, {"text": "delayed", "problem": problem})
            if problem == "gone" and is_first:
                # Probably misspelt: it is not polled again. The parser's own link stays.
                user_id, with_link = follower.follow.user_id, follower.follow.made_link
                await follows.unfollow(update.session, user_id, source.channel_id, with_link=with_link)

    async def _clear_problem(self, update: ChannelUpdate) -> None:
        source, problem = update.source, update.source.problem
        source.failures, source.problem, source.problem_since, source.problem_detail = 0, None, None, None
        await update.session.flush()
        if problem == "gone":
            await update.tell_all({"text": "back"})
        if not await follows.is_any_unreadable(update.session):
            await self._alerts.readable(update.session, update.now)

    async def _audience(self, session: AsyncSession) -> Audience:
        return Audience(await parser_tables.optional_columns(session), self._admin_ids)


def _put_off(source: SourceRow, now: datetime, seconds: float) -> None:
    source.failures += 1
    source.next_check_at = now + timedelta(seconds=seconds)


def _coverage_of(follower: Follower) -> Coverage:
    return Coverage(follower.follow.newest_id, follower.follow.gap_before, follower.follow.gap_until)


def _set_coverage(follower: Follower, new: Coverage) -> None:
    follow = follower.follow
    follow.newest_id, follow.gap_before, follow.gap_until = new.newest, new.gap_before, new.gap_until


def _history_of(follower: Follower) -> History:
    follow = follower.follow
    return History(follow.oldest_id, follow.older_wanted, follow.older_read, follow.at_beginning)


def _from(delivery: Delivery, oldest: int) -> Delivery:
    return replace(delivery, posts=[post for post in delivery.posts if post.message_id >= oldest])


def _empty(update: ChannelUpdate) -> Delivery:
    return Delivery(SourceChannel(None, update.source.name, ""), [], 0)


def _problem(error: SourceError) -> str:
    if isinstance(error, SourceGoneError):
        return "gone"
    return "unreadable" if isinstance(error, SourceUnreadableError) else "unavailable"
