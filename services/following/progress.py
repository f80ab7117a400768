"""What the reader is to ask for next, and what an answer changes: each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.following import schedule
from services.following.channel_update import Visit
from services.following.schedule import Back, Mark
from services.ingest.store import Tally, take_turns
from services.notifications.preview_alerts import PreviewAlerts
from services.sources.base import (
    UNKNOWN,
    Delivery,
    SourceChannel,
    SourceError,
    SourceGoneError,
    SourcePost,
    SourceUnreadableError,
)
from storage.channels import follows
from storage.channels.follows import Audience, Follower
from storage.db.engine import Database
from storage.queue.claim import Priority
from storage.schema import parser_tables
from storage.schema.source_tables import SourceRow
from storage.schema.tables import Channel, Post

log = structlog.get_logger(__name__)

#: So many older posts are read between two words about how far it is.
TOLD_EVERY = 100
#: Of so many requests one is for what is behind, however many channels are due to be looked at.
BACKLOG_EVERY = 3
#: Followers whose posts are stored in one transaction.
PORTION = 5
#: Of failures in a row, as far as they are counted.
MOST_FAILURES = 1000


class Part(StrEnum):
    """Which of a channel's messages are asked for: the newest, those since the last look, older ones."""

    NEWEST = "newest"
    GAP = "gap"
    OLDER = "older"


@dataclass(frozen=True, slots=True)
class Task:
    """One request.

    Attributes:
        position: as `Source.deliveries` takes it.
        fresh: the newest page is wanted even if it has not changed: somebody has not got it yet.
    """

    channel_id: int
    name: str
    part: Part
    position: int = 0
    fresh: bool = False


class Readings:
    """The channels that people follow, as the reader finds and leaves them."""

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
        # Which columns the parser's tables have does not change while we run.
        self._audience: Audience | None = None
        self._neutral: parser_tables.NeutralValues | None = None
        # Gaps and older posts are read of one channel and user after the other.
        self._turn = (0, 0)
        self._asked = 0

    async def next(self, now: datetime) -> Task | None:
        """What is to be asked now: due looks, and of every few requests one for what is behind."""
        async with self._database.read() as session:
            if not await follows.may_be_due(session, now):
                return None
            audience = await self._who(session)
            self._asked += 1
            kinds = [self._look, self._backlog]
            for find in reversed(kinds) if self._asked % BACKLOG_EVERY == 0 else kinds:
                task = await find(session, audience, now)
                if task is not None:
                    return task
        async with self._database.write() as session:
            await follows.drop_unread(session)
        return None

    async def _look(self, session: AsyncSession, audience: Audience, now: datetime) -> Task | None:
        source = await follows.due_check(session, audience, now)
        if source is None:
            return None
        return Task(source.channel_id, source.name, Part.NEWEST, fresh=source.interval_seconds is None)

    async def _backlog(self, session: AsyncSession, audience: Audience, now: datetime) -> Task | None:
        found = await follows.due_backlog(session, audience, now, self._turn)
        if found is None:
            return None
        source, follow = found
        self._turn = (follow.channel_id, follow.user_id)
        if follow.gap_before is not None and not follow.is_new:
            return Task(source.channel_id, source.name, Part.GAP, follow.gap_before)
        return Task(source.channel_id, source.name, Part.OLDER, follow.oldest_id or 0)

    async def read(self, task: Task, delivery: Delivery | None, now: datetime) -> None:
        """Store what came; None: nothing (new) is there. For many followers in portions, which keep nobody waiting."""
        async with self._database.read() as session:
            followers = await follows.followers(session, task.channel_id, await self._who(session), now)
        user_ids = [one.follow.user_id for one in followers]
        portions = [user_ids[start : start + PORTION] for start in range(0, len(user_ids), PORTION)] or [[]]
        tallies: list[Tally] = []
        for number, portion in enumerate(portions, start=1):
            async with self._database.write() as session:
                visit = await self._visit(session, task, portion, now)
                if visit is None or (number == 1 and delivery is not None and await visit.is_another(delivery)):
                    # Removed meanwhile, or it is read as the other one from now on.
                    break
                tallies += [await self._serve(visit, task, one, delivery) for one in visit.followers]
                if number == len(portions):
                    await self._finish(visit, task, delivery)
        self._tell(task, tallies)

    async def _visit(
        self, session: AsyncSession, task: Task, user_ids: Sequence[int] | None, now: datetime
    ) -> Visit | None:
        """The channel as it is now, of which nobody else changes anything until the transaction ends."""
        channel = await session.get(Channel, task.channel_id)
        if channel is None:
            return None
        await take_turns(session, SourceChannel(channel.channel_id, task.name, ""))
        source = await follows.hold(session, task.channel_id)
        if source is None:
            return None
        if self._neutral is None:
            self._neutral = await parser_tables.required_values(session, Post, now=now)
        followers = await follows.followers(session, task.channel_id, await self._who(session), now, user_ids)
        return Visit(session, source, channel, followers, now, self._neutral)

    async def failed(self, task: Task, error: SourceError, now: datetime) -> None:
        """Nothing came: when it is looked for again, and who is told."""
        async with self._database.write() as session:
            visit = await self._visit(session, task, None, now)
            if visit is None:
                return
            source, problem = visit.source, _problem(error)
            # Of a channel that is gone, or cannot be understood, a server that does not answer is no news.
            is_news = problem != source.problem and not (source.problem and problem == "unavailable")
            if is_news:
                source.problem, source.problem_since = problem, now
            source.problem_detail = str(error)[:500]
            wait = schedule.GONE if problem == "gone" else schedule.backoff(source.failures + 1, self._random)
            _put_off(source, now, wait)
            await session.flush()
            if is_news:
                await self._begins(visit, problem)
            log.warning("channel_not_read", channel=task.name, problem=problem, error=str(error))
        self._on_news()

    async def postpone(self, task: Task, now: datetime) -> None:
        """What came of a channel could not be stored: it is not asked for at once again."""
        async with self._database.write() as session:
            source = await follows.hold(session, task.channel_id)
            if source is not None:
                _put_off(source, now, schedule.backoff(source.failures + 1, self._random))

    async def _serve(self, visit: Visit, task: Task, one: Follower, delivery: Delivery | None) -> Tally:
        """Store for one follower what the answer holds of what they have not got."""
        if task.part is Part.NEWEST and delivery is not None:
            return await self._looked(visit, one, delivery)
        if task.part is Part.GAP and one.follow.gap_before == task.position:
            _set_mark(one, schedule.filled(_mark_of(one), delivery))
            part = _from(delivery or _nothing(visit), one.follow.oldest_id or 0)
            return await visit.store(one, part, Priority.FRESH)
        # Everybody who is as far back, and wants more.
        if task.part is Part.OLDER and one.follow.oldest_id == task.position and one.follow.older_wanted:
            back, taken = schedule.further(_back_of(one), delivery)
            part = replace(delivery or _nothing(visit), posts=taken)
            return await self._take(visit, one, back, part)
        return Tally(task.channel_id)

    async def _looked(self, visit: Visit, one: Follower, delivery: Delivery) -> Tally:
        if one.follow.oldest_id is None:
            _set_mark(one, schedule.looked(Mark(None), delivery))
            back, taken = schedule.first(_back_of(one), delivery)
            return await self._take(visit, one, back, replace(delivery, posts=taken))
        _set_mark(one, schedule.looked(_mark_of(one), delivery))
        return await visit.store(one, _from(delivery, one.follow.oldest_id), Priority.FRESH)

    async def _finish(self, visit: Visit, task: Task, delivery: Delivery | None) -> None:
        """What is known of the channel now that all who follow it were served."""
        source, now = visit.source, visit.now
        if task.part is Part.NEWEST:
            source.checked_at = now
            await follows.note_parsed(visit.session, source.channel_id, now)
            if delivery is not None:
                source.interval_seconds = round(
                    schedule.interval([post.posted_at for post in delivery.posts], now, self._random)
                )
                unknown = delivery.skipped.get(UNKNOWN, 0)
                await self._alerts.unknown(visit.session, source.channel_id, source.name, unknown, now)
            # Somebody may have asked for the page, unchanged as it is, while we asked whether it has changed.
            is_asked_for = source.interval_seconds is None and not task.fresh
            if not is_asked_for:
                wait = float(source.interval_seconds or schedule.UNKNOWN)
                source.next_check_at = now + timedelta(seconds=wait)
        await self._is_well(visit)

    async def _take(self, visit: Visit, one: Follower, back: Back, delivery: Delivery) -> Tally:
        """Store what somebody wanted of the past, and tell them how far it is."""
        follow, before = one.follow, one.follow.older_read
        wished = before + follow.older_wanted
        tally = await visit.store(one, delivery, Priority.BACKFILL)
        follow.oldest_id, follow.at_beginning = back.oldest, back.at_beginning
        follow.older_wanted, follow.older_read = back.wanted, back.read
        done = back.wanted == 0
        if follow.is_new and done:
            payload = {"text": "added", "posts": back.read, "at_beginning": back.at_beginning}
            await visit.tell(one, payload)
        elif not follow.is_new and (done or back.read // TOLD_EVERY > before // TOLD_EVERY):
            wanted = wished if wished < schedule.EVERYTHING // 2 else schedule.EVERYTHING
            progress = {"read": back.read, "wanted": wanted, "done": done, "at_beginning": back.at_beginning}
            await visit.tell(one, {"text": "older", **progress})
        if done:
            follow.is_new, follow.older_read, follow.chat_id, follow.message_id = False, 0, None, None
        return tally

    async def _begins(self, visit: Visit, problem: str) -> None:
        """A channel cannot be read, from now on: whoever follows it, or the administrators, are told once."""
        source = visit.source
        if problem == "unreadable":
            await self._alerts.unreadable(visit.session, source.name, visit.now)
        for one in visit.followers:
            is_first = one.follow.is_new and one.follow.oldest_id is None
            if problem != "gone":
                await self._is_delayed(visit, one, problem, is_first=is_first)
                continue
            await visit.tell(one, {"text": "gone", "first": is_first})
            if is_first:
                # A name that was misspelt is not to be asked for again and again; the parser's own link stays.
                user_id, with_link = one.follow.user_id, one.follow.made_link
                await follows.unfollow(visit.session, user_id, source.channel_id, with_link=with_link)

    async def _is_delayed(self, visit: Visit, one: Follower, problem: str, *, is_first: bool) -> None:
        """Only who waits for the first posts has to know."""
        if is_first:
            await visit.tell(one, {"text": "delayed", "problem": problem})

    async def _is_well(self, visit: Visit) -> None:
        source, problem = visit.source, visit.source.problem
        source.failures, source.problem, source.problem_since, source.problem_detail = 0, None, None, None
        await visit.session.flush()
        if problem == "gone":
            await visit.tell_all({"text": "back"})
        if not await follows.is_any_unreadable(visit.session):
            await self._alerts.readable(visit.session, visit.now)

    async def _who(self, session: AsyncSession) -> Audience:
        if self._audience is None:
            self._audience = Audience(await parser_tables.optional_columns(session), self._admin_ids)
        return self._audience

    def _tell(self, task: Task, tallies: Sequence[Tally]) -> None:
        new, edited = sum(tally.new for tally in tallies), sum(tally.edited for tally in tallies)
        log.info("channel_read", channel=task.name, part=task.part.value, new=new, edited=edited)
        if any(tally.tagged_later for tally in tallies):
            self._on_posts()
        self._on_news()


def _put_off(source: SourceRow, now: datetime, seconds: float) -> None:
    source.failures = min(source.failures + 1, MOST_FAILURES)
    source.next_check_at = now + timedelta(seconds=seconds)


def _mark_of(one: Follower) -> Mark:
    return Mark(one.follow.newest_id, one.follow.gap_before, one.follow.gap_until)


def _set_mark(one: Follower, mark: Mark) -> None:
    follow = one.follow
    follow.newest_id, follow.gap_before, follow.gap_until = mark.newest, mark.gap_before, mark.gap_until


def _back_of(one: Follower) -> Back:
    follow = one.follow
    return Back(follow.oldest_id, follow.older_wanted, follow.older_read, follow.at_beginning)


def _from(delivery: Delivery, oldest: int) -> Delivery:
    posts: list[SourcePost] = [post for post in delivery.posts if post.message_id >= oldest]
    return replace(delivery, posts=posts)


def _nothing(visit: Visit) -> Delivery:
    return Delivery(SourceChannel(None, visit.source.name, ""), [], 0)


def _problem(error: SourceError) -> str:
    if isinstance(error, SourceGoneError):
        return "gone"
    return "unreadable" if isinstance(error, SourceUnreadableError) else "unavailable"
