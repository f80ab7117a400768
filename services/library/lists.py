"""What other programs look at: users, their channels, tags and posts, in pages."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.clock import to_utc
from storage.db.engine import Database
from storage.reads import lists, overview
from storage.schema.types import as_text, as_whole

#: Of one post; the table keeps those of 30 days.
ATTEMPTS_LISTED = 100
#: Ids are integers of 32 bits in the parser's tables.
MAX_ID = 2**31 - 1
#: A time (ISO 8601). Everything that matches is understood by `read_moment`.
MOMENT = (
    r"[12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-9]))"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[ +-]([01][0-9]|2[0-3]):[0-5][0-9])?)?"
)
#: A time, then perhaps the id of a post of that time.
CURSOR = rf"^{MOMENT}(_[0-9]{{1,10}})?$"
#: The years that CURSOR knows.
OLDEST, NEWEST = datetime(1000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


class UnknownUserError(LookupError):
    """There is no row of users with the id."""

    def __init__(self, user_id: int) -> None:
        super().__init__(f"There is no user {user_id}")


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A row of users, without the parser's own columns (credentials)."""

    id: int
    telegram_id: int
    username: str | None
    first_name: str | None
    last_name: str | None
    is_active: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedChannel:
    """A channel that a user follows, or has posts of.

    `id` is channels.id, `channel_id` Telegram's. `is_active`: whether the parser reads it for them.
    """

    id: int
    channel_username: str
    channel_id: int | None
    channel_title: str | None
    is_active: bool
    last_parsed_at: datetime | None
    posts: int


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag, and how many of a user's posts have it."""

    tag: str
    count: int


# Not frozen, since a page makes a thousand: that would take six times as long.
@dataclass(slots=True)
class ListedPost:
    """A post. `channel_id` is channels.id. A number that another program wrote and that cannot be read is null or 0."""

    id: int
    user_id: int
    channel_id: int
    telegram_message_id: int | None
    text: str | None
    url: str | None
    posted_at: datetime | None
    tags: list[str]
    tagging_status: str
    tagging_attempts: int
    last_tagging_attempt: datetime | None
    tagging_error: str | None


@dataclass(frozen=True, slots=True)
class ListedAttempt:
    """One request to a model for a post. Tokens and cost are of the whole request, and stand at its first post only."""

    at: datetime
    model_asked: str
    model_answered: str | None
    outcome: str
    http_status: int | None
    seconds: float
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    error: str | None


@dataclass(slots=True)
class PostWithAttempts(ListedPost):
    """A post, and the requests for its tags, the latest first."""

    attempts: list[ListedAttempt]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of posts, the newest first. `next` is the `before` of the next page; null: this is the last."""

    posts: list[ListedPost]
    next: str | None


@dataclass(frozen=True, slots=True)
class TaggingCounts:
    """How far a user's posts are. `need_retry`: the last attempt failed, and there are attempts left."""

    total: int
    with_tags: int
    need_retry: int
    by_status: dict[str, int]


class Listing:
    """Reads only. What is asked of a user whom there is not raises UnknownUserError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def make_sure_of(self, user_id: int) -> None:
        """Raises UnknownUserError when there is no such row of users."""
        async with self._database.read() as session:
            await _make_sure_of(session, user_id)

    async def tagging_counts(self, user_id: int, max_attempts: int) -> TaggingCounts:
        """Counts of a user's posts, all of one moment."""
        async with self._database.read() as session:
            await lists.begin_view(session)
            counts = await overview.count_by_status(session, user_id)
            if not counts:
                await _make_sure_of(session, user_id)
            unfinished = await overview.count_tagged_unfinished(session, user_id)
            need_retry = await lists.count_needing_retry(session, user_id, max_attempts)
        by_status = overview.by_status(counts)
        return TaggingCounts(sum(counts.values()), by_status["success"] + unfinished, need_retry, by_status)

    async def users(self, *, after: int, limit: int, only: int | None) -> tuple[list[ListedUser], int | None]:
        """Users by id from beyond `after`, and the `after` of the next page (None: there is none)."""
        async with self._database.read() as session:
            rows = await lists.users(session, after, limit + 1, only)
        listed = [_user(row) for row in rows[:limit]]
        return listed, listed[-1].id if len(rows) > limit else None

    async def channels(self, user_id: int) -> list[ListedChannel]:
        """Channels that a user follows or has posts of."""
        async with self._database.read() as session:
            rows = await lists.channels(session, user_id)
            if not rows:
                await _make_sure_of(session, user_id)
        return [_channel(row) for row in rows]

    async def tags(self, user_id: int, limit: int) -> list[TagCount]:
        """A user's tags, the most frequent first."""
        async with self._database.read() as session:
            await lists.begin_view(session)
            counted = await lists.tag_counts(session, user_id, limit)
            if not counted:
                await _make_sure_of(session, user_id)
        return [TagCount(tag, count) for tag, count in counted]

    async def posts(
        self, user_id: int, *, status: str | None = None, tag: str | None = None, before: str | None = None, limit: int
    ) -> Page:
        """A page of a user's posts, the newest first.

        Args:
            before: a page's `next`, or a time (ISO 8601; without an offset it is UTC's).

        Raises:
            ValueError: `before` is neither (does not match CURSOR).
        """
        cursor = _read_cursor(before) if before is not None else None
        async with self._database.read() as session:
            if tag is not None:
                await lists.begin_view(session)
            rows = await lists.posts(session, user_id, status=status, tag=tag, before=cursor, limit=limit + 1)
            if not rows:
                await _make_sure_of(session, user_id)
        listed = [_post(row) for row in rows[:limit]]
        return Page(listed, _cursor(listed[-1]) if len(rows) > limit else None)

    async def pages(
        self, user_id: int, *, status: str | None = None, tag: str | None = None, limit: int
    ) -> AsyncGenerator[list[ListedPost], None]:
        """All of a user's posts, the newest first, a page after the other; between them no transaction is open."""
        before: str | None = None
        while True:
            page = await self.posts(user_id, status=status, tag=tag, before=before, limit=limit)
            yield page.posts
            if page.next is None:
                return
            before = page.next

    async def post(self, post_id: int, user_id: int | None) -> PostWithAttempts | None:
        """A post of that user's (None: anybody's) with its attempts; None: there is none."""
        async with self._database.read() as session:
            row = await lists.post(session, post_id, user_id)
            if row is None:
                return None
            attempts = await overview.last_attempts(session, post_id, ATTEMPTS_LISTED)
        values = dict(zip(ListedPost.__dataclass_fields__, _values(row), strict=True))
        return PostWithAttempts(**values, attempts=_attempts(attempts))


async def _make_sure_of(session: AsyncSession, user_id: int) -> None:
    if not await lists.user_exists(session, user_id):
        raise UnknownUserError(user_id)


def _user(row: Any) -> ListedUser:
    return ListedUser(
        id=row.id,
        telegram_id=as_whole(row.telegram_id) or 0,
        username=as_text(row.username),
        first_name=as_text(row.first_name),
        last_name=as_text(row.last_name),
        is_active=row.is_active is not False,
        created_at=row.created_at,
    )


def _channel(row: Any) -> ListedChannel:
    return ListedChannel(
        id=row.id,
        channel_username=as_text(row.channel_username) or "",
        channel_id=as_whole(row.channel_id),
        channel_title=as_text(row.channel_title),
        is_active=row.is_active is not False,
        last_parsed_at=row.last_parsed_at,
        posts=row.posts,
    )


def _post(row: Any) -> ListedPost:
    return ListedPost(*_values(row))


def _values(row: Any) -> tuple[Any, ...]:
    """What can be shown of a post, whatever another program has put there, in the order of ListedPost's fields."""
    post_id, user_id, channel_id, message_id, text, url, posted_at, tags, status, attempts, attempted, error = row
    return (
        post_id,
        as_whole(user_id) or 0,
        as_whole(channel_id) or 0,
        as_whole(message_id),
        as_text(text),
        as_text(url),
        posted_at,
        tags,
        as_text(status) or "pending",
        as_whole(attempts) or 0,
        attempted,
        as_text(error),
    )


def _attempts(rows: Sequence[Any]) -> list[ListedAttempt]:
    """The latest first."""
    names = ListedAttempt.__dataclass_fields__
    return [ListedAttempt(**{name: getattr(row, name) for name in names}) for row in reversed(rows)]


def _cursor(post: ListedPost) -> str:
    # While the post is there, its row's own time counts: this one only has to be such that CURSOR knows it.
    at = post.posted_at or OLDEST
    return f"{min(max(at, OLDEST), NEWEST).replace(tzinfo=None).isoformat()}Z_{post.id}"


def _read_cursor(text: str) -> tuple[datetime, int | None]:
    if not re.fullmatch(CURSOR, text):
        raise ValueError("before is neither a time nor the next of a page")
    at, _, number = text.partition("_")
    return read_moment(at), min(int(number), MAX_ID) if number else None


def read_moment(text: str) -> datetime:
    """PURE: what matches MOMENT → that time; without an offset it is UTC's."""
    # A plus that was not percent-encoded comes as a blank.
    text = text.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # The one day that the pattern lets through and that not every year has.
        moment = datetime.fromisoformat(text.replace("-02-29", "-03-01"))
    return to_utc(moment)
