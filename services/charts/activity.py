from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from services.accounts.people import CurrentUser
from services.clock import Clock, zone_or
from storage.db.engine import Database
from storage.reads import activity, digest

DAYS, TAGS = 30, 8
#: Posts of a period among which tags are counted.
MOST_POSTS = 20_000
#: How statuses are shown: the first word of each group is its name.
GROUPS = (("success",), ("pending", "retrying"), ("failed",), ("skipped",))
_GROUP_OF = {status: group[0] for group in GROUPS for status in group}


@dataclass(frozen=True, slots=True)
class TagTrend:
    """Posts with the tag in the last DAYS days, and in as many days before."""

    name: str
    now: int
    before: int


@dataclass(frozen=True, slots=True)
class Activity:
    """`posts`: status → posts on each of `days`, which are of the person's time zone, the oldest first."""

    days: tuple[date, ...]
    posts: dict[str, tuple[int, ...]]
    tags: tuple[TagTrend, ...]


class Activities:
    def __init__(self, database: Database, time_zone: ZoneInfo, clock: Clock) -> None:
        """`time_zone`: of people who have not chosen theirs."""
        self._database = database
        self._time_zone = time_zone
        self._clock = clock

    async def of(self, user: CurrentUser) -> Activity | None:
        """None if nothing was published in the last DAYS days."""
        now = self._clock()
        zone = zone_or(user.time_zone, self._time_zone)
        local = now.astimezone(zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight - timedelta(days=DAYS - 1)
        async with self._database.read() as session:
            found = await activity.published(session, user.owner_id, first)
            if not found:
                return None
            lately = await digest.posts(session, user.owner_id, first, now + timedelta(days=1), MOST_POSTS)
            before = await digest.posts(session, user.owner_id, first - timedelta(days=DAYS), first, MOST_POSTS)
        days = tuple(first.date() + timedelta(days=number) for number in range(DAYS))
        counts: Counter[tuple[str, date]] = Counter()
        for each in found:
            counts[_GROUP_OF.get(each.status or "pending", "pending"), each.at.astimezone(zone).date()] += each.posts
        posts = {group[0]: tuple(counts[group[0], day] for day in days) for group in GROUPS}
        used, earlier = (Counter(tag for post in part for tag in set(post.tags)) for part in (lately, before))
        top = sorted(used.items(), key=lambda item: (-item[1], item[0]))[:TAGS]
        return Activity(days, posts, tuple(TagTrend(name, count, earlier[name]) for name, count in top))
