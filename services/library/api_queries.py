"""What the HTTP API reads: users, and a user's channels, posts and counts."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from services.library.cursor import cursor_of, read_cursor
from services.library.search import Search, SearchOffError
from storage.db.engine import Database
from storage.reads import lists, overview
from storage.schema.types import as_text, as_whole

ATTEMPTS_LISTED = 100


class UnknownUserError(LookupError):
    """There is no row in users with this id."""

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


# Not frozen: creating a frozen one takes six times as long, and a page has a thousand.
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
    """Counts of a user's posts. `need_retry`: the last attempt failed, and attempts are left."""

    total: int
    with_tags: int
    need_retry: int
    by_status: dict[str, int]


class ApiQueries:
    """Queries of the HTTP API. They raise UnknownUserError if the user does not exist."""

    def __init__(self, database: Database, search: Search | None = None) -> None:
        self._database = database
        self._search = search

    async def check_user(self, user_id: int) -> None:
        async with self._database.read() as session:
            await _check_user(session, user_id)

    async def tagging_counts(self, user_id: int, max_attempts: int) -> TaggingCounts:
        """Counts of a user's posts, all from one snapshot."""
        async with self._database.read() as session:
            await lists.begin_view(session)
            counts = await overview.count_by_status(session, user_id)
            if not counts:
                await _check_user(session, user_id)
            unfinished = await overview.count_tagged_unfinished(session, user_id)
            need_retry = await lists.count_needing_retry(session, user_id, max_attempts)
        by_status = overview.by_status(counts)
        return TaggingCounts(sum(counts.values()), by_status["success"] + unfinished, need_retry, by_status)

    async def users(self, *, after: int, limit: int, only: int | None) -> tuple[list[ListedUser], int | None]:
        """Users with ids above `after`, and the `after` of the next page (None: this is the last)."""
        async with self._database.read() as session:
            rows = await lists.users(session, after, limit + 1, only)
        listed = [_user(row) for row in rows[:limit]]
        return listed, listed[-1].id if len(rows) > limit else None

    async def channels(self, user_id: int) -> list[ListedChannel]:
        async with self._database.read() as session:
            rows = await lists.channels(session, user_id)
            if not rows:
                await _check_user(session, user_id)
        return [_channel(row) for row in rows]

    async def posts(
        self,
        user_id: int,
        *,
        status: str | None = None,
        tag: str | None = None,
        q: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> Page:
        """A page of a user's posts, the newest first. `before`: a page's `next`, or an ISO 8601 time; `q`: as /find.

        Raises:
            ValueError: `before` does not match CURSOR.
            SinceError: a time in `q` is none.
            SearchOffError: `q` is given, and there is no search index.
        """
        cursor = read_cursor(before) if before is not None else None
        async with self._database.read() as session:
            if tag is not None:
                await lists.begin_view(session)
            found = await self._found(session, user_id, q) if q is not None else []
            rows = await lists.posts(
                session, user_id, status=status, tag=tag, before=cursor, limit=limit + 1, found=found
            )
            if not rows:
                await _check_user(session, user_id)
        listed = [ListedPost(*_values(row)) for row in rows[:limit]]
        return Page(listed, cursor_of(listed[-1].posted_at, listed[-1].id) if len(rows) > limit else None)

    async def _found(self, session: AsyncSession, user_id: int, q: str) -> list[ColumnElement[bool]]:
        if self._search is None:
            raise SearchOffError
        return await self._search.conditions(session, user_id, q)

    async def pages(
        self, user_id: int, *, status: str | None = None, tag: str | None = None, limit: int
    ) -> AsyncGenerator[list[ListedPost], None]:
        """All of a user's posts page by page, the newest first; no transaction is open between two pages."""
        before: str | None = None
        while True:
            reading = self.posts(user_id, status=status, tag=tag, before=before, limit=limit)
            # A reader that goes away cancels this task several times, and closing a connection of aiosqlite that was
            # cancelled twice never ends.
            page = await asyncio.shield(reading)
            yield page.posts
            if page.next is None:
                return
            before = page.next

    async def post(self, post_id: int, user_id: int | None) -> PostWithAttempts | None:
        """A post with its attempts; None if there is none, or not of this user (None: of any user)."""
        async with self._database.read() as session:
            row = await lists.post(session, post_id, user_id)
            if row is None:
                return None
            attempts = await overview.last_attempts(session, post_id, ATTEMPTS_LISTED)
        values = dict(zip(ListedPost.__dataclass_fields__, _values(row), strict=True))
        return PostWithAttempts(**values, attempts=_attempts(attempts))


async def _check_user(session: AsyncSession, user_id: int) -> None:
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


def _values(row: Any) -> tuple[Any, ...]:
    """A post's values in the order of ListedPost's fields; values of other programs are made showable."""
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
    names = ListedAttempt.__dataclass_fields__
    return [ListedAttempt(**{name: getattr(row, name) for name in names}) for row in reversed(rows)]
