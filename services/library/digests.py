from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.accounts.people import CurrentUser, People
from services.clock import Clock, zone_or
from services.library.digest_schedule import Every, Schedule
from storage.accounts import digests as rows
from storage.accounts import people as people_rows
from storage.db.engine import Database
from storage.reads import digest as reads
from storage.schema.tables import Person

#: Newest posts of the period among which tags are counted.
MOST_POSTS = 5000
TAGS_SHOWN, POSTS_OF_TAG = 7, 3


@dataclass(frozen=True, slots=True)
class DigestPost:
    text: str
    url: str | None


@dataclass(frozen=True, slots=True)
class DigestTag:
    """A tag, how many different texts have it, and the newest of them that no tag before shows."""

    name: str
    posts: int
    newest: tuple[DigestPost, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """`posts`: new posts of the period; `requests`: to models, for the person's posts."""

    posts: int
    tags: tuple[DigestTag, ...]
    failed: int
    requests: int


class Digests:
    """Overviews of a person's new posts, daily or weekly, made without asking a model."""

    def __init__(self, database: Database, people: People, time_zone: ZoneInfo, clock: Clock) -> None:
        """`time_zone`: of people who have not chosen theirs."""
        self._database = database
        self._people = people
        self._time_zone = time_zone
        self._clock = clock

    async def schedule(self, by: CurrentUser) -> Schedule | None:
        """None: the digest is off."""
        async with self._database.read() as session:
            person = await people_rows.find(session, by.telegram_id)
        return self._schedule(person) if person is not None and person.digest else None

    async def switch_on(self, by: CurrentUser) -> Schedule:
        """Daily, unless it is on already."""
        return await self.schedule(by) or await self.choose(by, Every.DAILY)

    async def choose(self, by: CurrentUser, every: Every | None = None, hour: int | None = None) -> Schedule:
        """Switch the digest on, or change it; what is not given stays. The next one tells what none has told."""
        now = self._clock()
        async with self._database.write() as session:
            person = await people_rows.find(session, by.telegram_id)
            before = person or Person(telegram_id=by.telegram_id)
            made = Schedule(
                every or Every(before.digest or Every.DAILY),
                people_rows.digest_hour(before) if hour is None else hour,
                self._zone(before),
            )
            covered = before.digest_at if before.digest else None
            values = {
                "digest": made.every.value,
                "digest_hour": made.hour,
                "digest_at": made.last_due(now) if covered is None else covered,
            }
            await people_rows.save(session, by.telegram_id, now, **values)
        return made

    async def switch_off(self, by: CurrentUser) -> None:
        async with self._database.write() as session:
            await people_rows.save(session, by.telegram_id, self._clock(), digest=None)

    async def queue_due(self) -> bool:
        """Queue the digests that are due; returns whether there are any."""
        now = self._clock()
        async with self._database.read() as session:
            people = await rows.subscribers(session)
        due = [(person, period) for person in people if (period := self._due(person, now))]
        if not due:
            return False
        async with self._database.write() as session:
            for person, (since, until) in due:
                if await rows.advance(session, person.telegram_id, until) and await self._people.may_use(
                    session, person.telegram_id
                ):
                    await rows.put(session, person.telegram_id, since, until, person.digest or Every.DAILY, now)
        return True

    async def of_period(self, telegram_id: int, since: datetime, until: datetime) -> Digest | None:
        """None if there was nothing to tell."""
        async with self._database.read() as session:
            user_id = await people_rows.user_id_of(session, telegram_id)
            if user_id is None or not await self._people.may_use(session, telegram_id):
                return None
            total = await reads.count_posts(session, user_id, since, until)
            failed = await reads.count_failed(session, user_id, since, until)
            if not total and not failed:
                return None
            chosen = _by_tag(await reads.posts(session, user_id, since, until, MOST_POSTS))
            shown = await reads.beginnings(session, [post for _, _, ids in chosen for post in ids])
            requests = await reads.count_requests(session, user_id, since, until)
        tags = tuple(
            DigestTag(name, count, tuple(DigestPost(shown[i].text or "", shown[i].url) for i in ids if i in shown))
            for name, count, ids in chosen
        )
        return Digest(total, tags, failed, requests)

    def _due(self, person: Person, now: datetime) -> tuple[datetime, datetime] | None:
        return self._schedule(person).due_period(person.digest_at, now)

    def _schedule(self, person: Person) -> Schedule:
        return Schedule(Every(person.digest or Every.DAILY), people_rows.digest_hour(person), self._zone(person))

    def _zone(self, person: Person) -> ZoneInfo:
        return zone_or(person.time_zone, self._time_zone)


def _by_tag(posts: Iterable[Any]) -> Sequence[tuple[str, int, list[int]]]:
    """The most used tags, their number of different texts, and posts to show: each text once."""
    different: dict[Any, Any] = {}
    for post in posts:
        different.setdefault(("text", post.text_key) if post.text_key is not None else post.id, post)
    counts = Counter(tag for post in different.values() for tag in dict.fromkeys(post.tags))
    listed: set[int] = set()
    found = []
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        ids = [post.id for post in different.values() if name in post.tags and post.id not in listed][:POSTS_OF_TAG]
        if ids:
            listed.update(ids)
            found.append((name, count, ids))
        if len(found) == TAGS_SHOWN:
            break
    return found
