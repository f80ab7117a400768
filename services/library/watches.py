import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.people import CurrentUser, People
from services.background_task import BackgroundTask
from services.clock import Clock, zone_or
from services.library.bot_queries import PAGE_SIZE, BotQueries, PostCard
from services.library.search_words import QUERY_LIMIT, Stems, post_numbers
from services.library.watch_query import WatchEvery, matches, next_time, read_watch
from services.notifications.timing import quiet_until
from services.tags.keys import tag_key
from services.text import storable
from storage.accounts import people as people_rows
from storage.db.engine import Database
from storage.schema.tables import Person
from storage.schema.watch_tables import WatchRow
from storage.tags import vocabulary
from storage.tags import watches as rows
from storage.tags.rules import lock_user
from storage.tags.vocabulary import Known, KnownTag
from storage.tags.watches import Candidate

MOST_WATCHES = 50
#: Posts that are compared in one transaction.
PORTION = 300
LOOK_SECONDS = 2.0


class WatchRefusedError(Exception):
    """`reason`: 'empty', 'since', 'too many' or 'not yours'."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Watch:
    id: int
    query: str
    every: WatchEvery
    paused: bool
    is_private: bool


@dataclass(frozen=True, slots=True)
class WatchPage:
    watches: tuple[Watch, ...]
    page: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class FoundByWatch:
    """`posts`: the newest of `total`."""

    query: str
    posts: tuple[PostCard, ...]
    total: int


class Watches:
    """What people watch their own new posts for."""

    def __init__(self, database: Database, queries: BotQueries, time_zone: ZoneInfo, clock: Clock) -> None:
        """`time_zone`: of people who have not chosen theirs."""
        self._time_zone = time_zone
        self._database = database
        self._queries = queries
        self._clock = clock

    async def add(self, by: CurrentUser, text: str, chat_id: int, thread_id: int | None = None) -> Watch:
        """Watch for posts published from now on. Raises WatchRefusedError or SinceError."""
        query = " ".join(storable(text).split())[:QUERY_LIMIT].rstrip()
        read = read_watch(query)
        if read.is_empty:
            raise WatchRefusedError("empty")
        if read.rest.since is not None:
            raise WatchRefusedError("since")
        # Telegram's times are whole seconds.
        now = self._clock().replace(microsecond=0)
        row = WatchRow(
            user_id=by.owner_id,
            telegram_id=by.telegram_id,
            chat_id=chat_id,
            thread_id=thread_id,
            query=query,
            every=WatchEvery.NOW,
            paused=False,
            created_at=now,
            next_at=now,
        )
        async with self._database.write() as session:
            # A second press waits here, and finds the watch of the first.
            await lock_user(session, by.owner_id)
            if (present := await rows.same(session, row)) is not None:
                return _watch(present)
            if await rows.count(session, by.telegram_id) >= MOST_WATCHES:
                raise WatchRefusedError("too many")
            session.add(row)
            await session.flush()
            return _watch(row)

    async def page(self, by: CurrentUser, page: int) -> WatchPage:
        async with self._database.read() as session:
            found = await rows.of_person(session, by.telegram_id, PAGE_SIZE + 1, (page - 1) * PAGE_SIZE)
        return WatchPage(tuple(map(_watch, found[:PAGE_SIZE])), page, len(found) > PAGE_SIZE)

    async def get(self, by: CurrentUser, watch_id: int) -> Watch:
        """Raises WatchRefusedError, as the others that take an id do."""
        async with self._database.read() as session:
            return _watch(await _own(session, by, watch_id))

    async def choose(self, by: CurrentUser, watch_id: int, every: WatchEvery) -> Watch:
        async with self._database.write() as session:
            row = await _own(session, by, watch_id)
            person = await people_rows.find(session, by.telegram_id)
            row.every = every
            row.next_at = next_time(every, self._clock(), _zone(person, self._time_zone))
            return _watch(row)

    async def pause(self, by: CurrentUser, watch_id: int, *, paused: bool) -> Watch:
        async with self._database.write() as session:
            row = await _own(session, by, watch_id)
            row.paused = paused
            return _watch(row)

    async def remove(self, by: CurrentUser, watch_id: int) -> None:
        async with self._database.write() as session:
            await _own(session, by, watch_id)
            await rows.remove(session, watch_id)

    async def found(self, outbox_id: int, watch_id: int) -> FoundByWatch | None:
        """What a message tells; None if the watch or its posts are gone."""
        async with self._database.read() as session:
            watch = await rows.find(session, watch_id)
            ids = await rows.told_by(session, outbox_id)
        posts = await self._queries.posts(ids[:PAGE_SIZE])
        return FoundByWatch(watch.query, tuple(posts), len(ids)) if watch is not None and posts else None


class WatchDelivery(BackgroundTask):
    """Compares newly tagged posts with the watches, and queues the messages that are due."""

    def __init__(
        self, database: Database, people: People, time_zone: ZoneInfo, clock: Clock, on_news: Callable[[], None]
    ) -> None:
        """`time_zone`: of people who have not chosen theirs."""
        super().__init__()
        self._database = database
        self._people = people
        self._time_zone = time_zone
        self._clock = clock
        self._on_news = on_news

    async def work(self) -> float:
        is_more = await self.compare()
        if await self.queue_due():
            self._on_news()
        return 0.0 if is_more else LOOK_SECONDS

    async def compare(self) -> bool:
        """Returns whether there may be more."""
        async with self._database.read() as session:
            found = await rows.candidates(session, PORTION)
            if not found:
                return False
            keys: dict[int, set[str]] = {}
            for each in found:
                keys.setdefault(each.user_id, set()).update(map(tag_key, each.tags), read_watch(each.query).keys)
            known, by_id = await vocabulary.known_tags(session, keys)
        # In a thread: a portion may take longer than the event loop may stand still.
        results = await asyncio.to_thread(_compare, found, known, by_id)
        async with self._database.write() as session:
            for each, is_match in zip(found, results, strict=True):
                await rows.settle(session, each, matches=is_match)
        return len(found) == PORTION

    async def queue_due(self) -> bool:
        """Returns whether there was anything."""
        now = self._clock()
        async with self._database.read() as session:
            if not await rows.any_due(session, now):
                return False
        async with self._database.write() as session:
            for watch in await rows.take_due(session, now, PORTION):
                await self._queue(session, watch, now)
        return True

    async def _queue(self, session: AsyncSession, watch: WatchRow, now: datetime) -> None:
        person = await people_rows.find(session, watch.telegram_id)
        zone = _zone(person, self._time_zone)
        quiet = quiet_until(now, zone, person.quiet_from, person.quiet_until) if person is not None else None
        if quiet is not None:
            watch.next_at = quiet
        elif not await self._people.may_use(session, watch.telegram_id):
            watch.paused = True
        else:
            await rows.queue(session, watch, now)
            watch.next_at = next_time(WatchEvery(watch.every), now, zone)


def _zone(person: Person | None, otherwise: ZoneInfo) -> ZoneInfo:
    return zone_or(person.time_zone if person is not None else None, otherwise)


def _compare(found: Sequence[Candidate], known: Known, by_id: Mapping[int, KnownTag]) -> list[bool]:
    stems = Stems()

    def final(user_id: int, key: str) -> str:
        """A merged tag counts as the one that it was merged into."""
        tag = known.get((user_id, key))
        into = by_id.get(tag.merged_into) if tag is not None and tag.merged_into is not None else None
        return key if into is None else into.key

    def is_match(post: Candidate) -> bool:
        query = read_watch(post.query)
        wanted = type(query)(
            frozenset(final(post.user_id, key) for key in query.tags),
            frozenset(final(post.user_id, key) for key in query.without_tags),
            query.rest,
        )
        numbers = post_numbers(stems, post.user_id, post.channel_id, post.text, post.tags)
        return matches(wanted, numbers, [final(post.user_id, tag_key(tag)) for tag in post.tags], post.channel)

    return [is_match(post) for post in found]


async def _own(session: AsyncSession, by: CurrentUser, watch_id: int) -> WatchRow:
    row = await rows.find(session, watch_id)
    if row is None or row.telegram_id != by.telegram_id:
        raise WatchRefusedError("not yours")
    return row


def _watch(row: WatchRow) -> Watch:
    return Watch(row.id, row.query, WatchEvery(row.every), row.paused, row.chat_id == row.telegram_id)
