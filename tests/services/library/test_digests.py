"""When a digest is due, and what it tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from services.accounts.people import CurrentUser, People, Role
from services.library.digest_schedule import Every, Schedule
from services.library.digests import Digest, Digests, DigestTag
from storage.db.engine import Database
from storage.schema.tables import Attempt, OutboxRow, Person, Post
from tests.storage.rows import add_posts, add_user

BERLIN = ZoneInfo("Europe/Berlin")
ANNA = CurrentUser(1001, 1, Role.USER, "ru", told=False)
#: A Thursday.
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def utc(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hour", "now", "due"),
    [
        (9, utc(3, 28, 8), utc(3, 28, 8)),
        (9, utc(3, 28, 7, 59), utc(3, 27, 8)),
        # Summer time begins on 29 March at 1:00 UTC: 2:00 does not exist, 9:00 comes an hour earlier.
        (9, utc(3, 29, 7), utc(3, 29, 7)),
        (9, utc(3, 29, 6, 59), utc(3, 28, 8)),
        (2, utc(3, 29, 1), utc(3, 29, 1)),
        # It ends on 25 October at 1:00 UTC: 2:00 comes twice, the digest once.
        (2, utc(10, 25, 0), utc(10, 25, 0)),
        (2, utc(10, 25, 1, 30), utc(10, 25, 0)),
    ],
)
def test_the_hour_is_the_persons_also_when_clocks_change(hour: int, now: datetime, due: datetime) -> None:
    assert Schedule(Every.DAILY, hour, BERLIN).last_due(now) == due


def test_a_late_digest_comes_once_and_a_missed_one_is_made_up_by_the_next() -> None:
    weekly = Schedule(Every.WEEKLY, 9, ZoneInfo("UTC"))
    monday, before = utc(1, 12, 9), utc(1, 5, 9)
    assert weekly.due_period(before, monday - timedelta(seconds=1)) is None
    assert weekly.due_period(before, monday + timedelta(hours=23)) == (before, monday)
    assert weekly.due_period(monday, monday + timedelta(hours=23)) is None
    assert weekly.due_period(before, monday + timedelta(hours=24)) is None
    assert weekly.due_period(before, utc(1, 19, 9)) == (before, utc(1, 19, 9))


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def digests(database: Database, clock: Clock) -> Digests:
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
    return Digests(database, People(database, frozenset(), clock), ZoneInfo("UTC"), clock)


async def queued(database: Database) -> list[OutboxRow]:
    async with database.read() as session:
        return list((await session.execute(select(OutboxRow).order_by(OutboxRow.id))).scalars())


async def test_each_digest_is_queued_once_after_it_was_switched_on(
    database: Database, digests: Digests, clock: Clock
) -> None:
    """Also when two processes take themselves for the leader, and a change of the hour leaves out no time."""
    await digests.switch_on(ANNA)
    assert not await digests.queue_due()
    clock.now = utc(1, 2, 10)
    other = Digests(database, People(database, frozenset(), clock), ZoneInfo("UTC"), clock)
    assert await digests.queue_due()
    assert not await other.queue_due()
    await digests.choose(ANNA, hour=10)
    assert await digests.queue_due()
    assert not await digests.queue_due()
    rows = await queued(database)
    assert {(row.kind, row.telegram_id) for row in rows} == {("digest", 1001)}
    assert [row.payload for row in rows] == [
        {"since": "2026-01-01T09:00:00+00:00", "until": "2026-01-02T09:00:00+00:00", "every": "daily"},
        {"since": "2026-01-02T09:00:00+00:00", "until": "2026-01-02T10:00:00+00:00", "every": "daily"},
    ]
    clock.now = utc(1, 3, 10)
    await digests.switch_off(ANNA)
    assert not await digests.queue_due()


async def test_the_persons_own_zone_holds_and_who_blocked_the_bot_gets_none(
    database: Database, digests: Digests, clock: Clock
) -> None:
    await digests.switch_on(ANNA)
    async with database.write() as session:
        await session.execute(update(Person).values(time_zone="Asia/Kathmandu"))
    clock.now = utc(1, 2, 3, 14)
    assert not await digests.queue_due()
    clock.now = utc(1, 2, 3, 15)
    async with database.write() as session:
        await session.execute(update(Person).values(reachable=False))
    assert not await digests.queue_due()
    async with database.write() as session:
        await session.execute(update(Person).values(reachable=True))
    assert await digests.queue_due()


async def test_a_digest_tells_of_the_periods_own_posts_by_tag(database: Database, digests: Digests) -> None:
    """A repost counts once; no post is shown twice; others' and deleted posts are not told."""
    day = {"posted_at": NOON, "tagging_status": "success"}
    async with database.write() as session:
        await add_posts(session, 1, 3, first=1, **day, tags=["город", "парк"], text="Repost", text_key=7)
        await add_posts(session, 1, 4, first=11, **day, tags=["город"], text="News", url="https://e.org/1")
        await add_posts(session, 1, 1, first=21, **day, tags=["парк"], text="A park", gone_at=NOON)
        await add_posts(session, 1, 1, first=22, posted_at=NOON - timedelta(days=2), tags=["старый"])
        failed = {"tagging_status": "failed", "last_tagging_attempt": NOON}
        await add_posts(session, 1, 2, first=31, posted_at=NOON - timedelta(days=3), **failed)
        await add_posts(session, 2, 5, first=41, **day, tags=["чужой"])
        for post, request in ((1, "a"), (11, "a"), (12, "b"), (41, "c")):
            session.add(
                Attempt(post_id=post, request_id=request, at=NOON, model_asked="m", outcome="tags", seconds=1.0)
            )
    found = await digests.of_period(1001, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    assert isinstance(found, Digest)
    assert (found.posts, found.failed, found.requests) == (7, 2, 2)
    assert [(tag.name, tag.posts, [post.text for post in tag.newest]) for tag in found.tags] == [
        ("город", 5, ["News", "News", "News"]),
        ("парк", 1, ["Repost"]),
    ]
    assert isinstance(found.tags[0], DigestTag)
    assert found.tags[0].newest[0].url == "https://e.org/1"
    assert await digests.of_period(1001, NOON + timedelta(hours=1), NOON + timedelta(hours=2)) is None
    async with database.write() as session:
        await session.execute(update(Post).values(gone_at=NOON, tagging_status="success"))
    assert await digests.of_period(1001, NOON - timedelta(hours=1), NOON + timedelta(hours=1)) is None
