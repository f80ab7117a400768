"""What the reader is to ask for next, and what an answer changes: each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services import reading
from services.preview_alerts import PreviewAlerts
from services.reading import Back, Mark
from services.sources.base import (
    UNKNOWN,
    Delivery,
    SourceChannel,
    SourceError,
    SourceGoneError,
    SourcePost,
    SourceUnreadableError,
)
from services.storing import Tally, take_turns
from services.visits import Visit
from storage import legacy, sources
from storage.database import Database
from storage.models import Channel
from storage.queue import Priority
from storage.sources import Audience, Follower

log = structlog.get_logger(__name__)

#: So many older posts are read between two words about how far it is.
TOLD_EVERY = 100


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
        # Which columns the parser's users have does not change while we run.
        self._audience: Audience | None = None
        # Older posts are read of one channel after the other.
        self._turn = 0

    async def next(self, now: datetime) -> Task | None:
        """What is to be asked now: due looks first, then gaps, then what people want of the past."""
        async with self._database.read() as session:
            if not await sources.may_be_due(session, now):
                return None
            audience = await self._who(session)
            source = await sources.due_check(session, audience, now)
            if source is not None:
                is_asked_for = source.interval_seconds is None
                return Task(source.channel_id, source.name, Part.NEWEST, fresh=is_asked_for)
            source = await sources.due_gap(session, audience, now)
            if source is not None:
                return Task(source.channel_id, source.name, Part.GAP, source.gap_before or 0)
            older = await sources.due_older(session, audience, now, self._turn)
        if older is None:
            return None
        source, follow = older
        self._turn = source.channel_id
        return Task(source.channel_id, source.name, Part.OLDER, follow.oldest_id or 0)

    async def read(self, task: Task, delivery: Delivery | None, now: datetime) -> None:
        """Store what came; None: nothing (new) is there."""
        async with self._database.write() as session:
            source = await sources.source(session, task.channel_id)
            channel = await session.get(Channel, task.channel_id)
            if source is None or channel is None:
                return
            audience = await self._who(session)
            await take_turns(session, SourceChannel(channel.channel_id, source.name, ""))
            followers = await sources.followers(session, task.channel_id, audience, now)
            visit = Visit(session, source, channel, followers, now)
            if delivery is not None:
                await visit.take_name(delivery.channel)
            if task.part is Part.NEWEST:
                tallies = await self._looked(visit, delivery)
            elif task.part is Part.GAP:
                tallies = await self._filled(visit, delivery)
            else:
                tallies = await self._older(visit, task.position, delivery)
            await self._is_well(visit)
            if delivery is not None and task.part is Part.NEWEST:
                unknown = delivery.skipped.get(UNKNOWN, 0)
                await self._alerts.unknown(session, source.channel_id, source.name, unknown, now)
        self._tell(task, tallies)

    async def failed(self, task: Task, error: SourceError, now: datetime) -> None:
        """Nothing came: when it is looked for again, and who is told."""
        async with self._database.write() as session:
            source = await sources.source(session, task.channel_id)
            channel = await session.get(Channel, task.channel_id)
            if source is None or channel is None:
                return
            followers = await sources.followers(session, task.channel_id, await self._who(session), now)
            visit = Visit(session, source, channel, followers, now)
            problem = _problem(error)
            if source.problem != problem:
                await self._begins(visit, problem)
                source.problem_since = now
            source.problem, source.problem_detail = problem, str(error)[:500]
            source.failures = min(source.failures + 1, 1000)
            wait = reading.GONE if problem == "gone" else reading.backoff(source.failures, self._random)
            source.next_check_at = now + timedelta(seconds=wait)
            log.warning("channel_not_read", channel=source.name, problem=problem, error=str(error))
        self._on_news()

    async def _looked(self, visit: Visit, delivery: Delivery | None) -> list[Tally]:
        source, now = visit.source, visit.now
        source.checked_at = now
        await sources.note_parsed(visit.session, source.channel_id, visit.user_ids, now)
        if delivery is None:
            wait = float(source.interval_seconds or reading.UNKNOWN)
            source.next_check_at = now + timedelta(seconds=wait)
            return []
        # What was posted while nobody followed is nobody's.
        mark = visit.mark if any(one.follow.oldest_id is not None for one in visit.followers) else Mark(None)
        tallies = [await self._store_newest(visit, delivery, one) for one in visit.followers]
        visit.mark = reading.looked(mark, delivery)
        wait = reading.interval([post.posted_at for post in delivery.posts], now, self._random)
        source.interval_seconds, source.next_check_at = round(wait), now + timedelta(seconds=wait)
        return tallies

    async def _store_newest(self, visit: Visit, delivery: Delivery, one: Follower) -> Tally:
        follow = one.follow
        if follow.oldest_id is None:
            back, taken = reading.first(_back_of(one), delivery)
            return await self._take(visit, one, back, replace(delivery, posts=taken), Priority.BACKFILL)
        known = [post for post in delivery.posts if post.message_id >= follow.oldest_id]
        return await visit.store(one, replace(delivery, posts=known), Priority.FRESH)

    async def _filled(self, visit: Visit, delivery: Delivery | None) -> list[Tally]:
        visit.mark = reading.filled(visit.mark, delivery)
        if delivery is None:
            return []
        behind = [one for one in visit.followers if one.follow.oldest_id is not None]
        return [await visit.store(one, _from(delivery, one.follow.oldest_id or 0), Priority.FRESH) for one in behind]

    async def _older(self, visit: Visit, position: int, delivery: Delivery | None) -> list[Tally]:
        """For everybody who is as far back, and wants more."""
        tallies = []
        for one in visit.followers:
            if one.follow.oldest_id == position and one.follow.older_wanted > 0:
                back, taken = reading.further(_back_of(one), delivery)
                part = replace(delivery or _nothing(visit), posts=taken)
                tallies.append(await self._take(visit, one, back, part, Priority.BACKFILL))
        return tallies

    async def _take(self, visit: Visit, one: Follower, back: Back, delivery: Delivery, work_class: Priority) -> Tally:
        """Store what somebody wanted of the past, and tell them how far it is."""
        follow, before = one.follow, one.follow.older_read
        wished = before + follow.older_wanted
        tally = await visit.store(one, delivery, work_class)
        follow.oldest_id, follow.at_beginning = back.oldest, back.at_beginning
        follow.older_wanted, follow.older_read = back.wanted, back.read
        done = back.wanted == 0
        if follow.is_new and done:
            payload = {"text": "added", "posts": back.read, "at_beginning": back.at_beginning}
            await visit.tell(one, payload)
        elif not follow.is_new and (done or back.read // TOLD_EVERY > before // TOLD_EVERY):
            wanted = wished if wished < reading.EVERYTHING // 2 else reading.EVERYTHING
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
                # A name that was misspelt is not to be asked for again and again.
                await sources.unfollow(visit.session, one.follow.user_id, source.channel_id)

    async def _is_delayed(self, visit: Visit, one: Follower, problem: str, *, is_first: bool) -> None:
        """Only who waits for the first posts has to know."""
        if is_first:
            await visit.tell(one, {"text": "delayed", "problem": problem})

    async def _is_well(self, visit: Visit) -> None:
        source, problem = visit.source, visit.source.problem
        source.failures, source.problem, source.problem_since, source.problem_detail = 0, None, None, None
        await visit.session.flush()
        if problem == "gone":
            for one in visit.followers:
                await visit.tell(one, {"text": "back"})
        elif problem == "unreadable" and not await sources.is_any_unreadable(visit.session):
            await self._alerts.readable(visit.session, visit.now)

    async def _who(self, session: AsyncSession) -> Audience:
        if self._audience is None:
            self._audience = Audience(await legacy.optional_columns(session), self._admin_ids)
        return self._audience

    def _tell(self, task: Task, tallies: Sequence[Tally]) -> None:
        new, edited = sum(tally.new for tally in tallies), sum(tally.edited for tally in tallies)
        log.info("channel_read", channel=task.name, part=task.part.value, new=new, edited=edited)
        if any(tally.tagged_later for tally in tallies):
            self._on_posts()
        self._on_news()


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
