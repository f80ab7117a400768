from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.clock import Clock
from services.library.message_links import MessageLink
from storage.channels import hashtags
from storage.db.engine import Database
from storage.posts import channel_posts
from storage.posts.channel_posts import nameless
from storage.reads import overview
from storage.schema.tables import PERSONAL, UNSUPPORTED, Attempt

ATTEMPTS_SHOWN = 5
PAGE_SIZE = 10


@dataclass(frozen=True, slots=True)
class Stats:
    """Posts by status. `next_attempt_at` is None if a post is due now, or none waits."""

    total: int
    by_status: dict[str, int]
    with_tags: int
    waiting: int
    next_attempt_at: datetime | None
    users: int


@dataclass(frozen=True, slots=True)
class AttemptView:
    at: datetime
    model_asked: str
    model_answered: str | None
    outcome: str
    http_status: int | None
    seconds: float
    error: str | None


@dataclass(frozen=True, slots=True)
class PostCard:
    """A post and its state.

    Attributes:
        skipped: a person skipped it. leased: a worker has it.
        owner_telegram_id: Telegram id of the user whose post it is.
        hashtags_of: Telegram id of the owner of the channel in which its hashtags stand.
        gone_at: when it was found deleted in its channel.
    """

    id: int
    channel_title: str | None
    channel_username: str | None
    text: str | None
    url: str | None
    tags: tuple[str, ...]
    status: str
    attempts: int
    error: str | None
    next_attempt_at: datetime | None
    failure_kind: str | None
    skipped: bool
    leased: bool
    attempt_log: tuple[AttemptView, ...] = ()
    owner_telegram_id: int | None = None
    hashtags_of: int | None = None
    gone_at: datetime | None = None

    @property
    def is_unsupported(self) -> bool:
        return self.failure_kind == UNSUPPORTED

    @property
    def is_personal(self) -> bool:
        """Held back until its user agrees to the tagging of personal chats."""
        return self.status == "skipped" and self.failure_kind == PERSONAL


@dataclass(frozen=True, slots=True)
class FailedPage:
    posts: tuple[PostCard, ...]
    page: int
    pages: int
    total: int


class BotQueries:
    """What the bot shows: counts, cards of posts, pages of failed posts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def stats(self, user_id: int | None) -> Stats:
        now = self._clock()
        async with self._database.read() as session:
            counts = await overview.count_by_status(session, user_id)
            by_status = overview.by_status(counts)
            total, waiting = sum(counts.values()), by_status["pending"] + by_status["retrying"]
            is_all_tagged = total == by_status["success"]
            unfinished = 0 if is_all_tagged else await overview.count_tagged_unfinished(session, user_id)
            due_at = await overview.next_attempt_at(session, user_id, now) if waiting else None
            users = 1 if user_id is not None else await overview.count_users(session)
        return Stats(total, by_status, by_status["success"] + unfinished, waiting, due_at, users)

    async def post(self, post_id: int, *, user_id: int | None) -> PostCard | None:
        """A post with its last attempts; None if there is none, or not of this user (None: of any user)."""
        async with self._database.read() as session:
            row = await overview.find_post(session, post_id, user_id)
            if row is None:
                return None
            attempts = await overview.last_attempts(session, post_id, ATTEMPTS_SHOWN)
            hashtags_of = await hashtags.owner_of_line(session, post_id)
        return replace(_card(row, self._clock(), attempts), hashtags_of=hashtags_of)

    async def linked(self, link: MessageLink, user_id: int) -> int | None:
        """The id of the user's post to which a link leads."""
        async with self._database.read() as session:
            return await channel_posts.find_message(session, user_id, link.channel, link.message_id)

    async def posts(self, post_ids: Sequence[int]) -> list[PostCard]:
        """The cards of the posts that exist, in this order, without their attempts."""
        async with self._database.read() as session:
            rows = await overview.find_posts(session, post_ids)
        now = self._clock()
        return [_card(row, now) for row in rows]

    async def failed(self, user_id: int, page: int) -> FailedPage:
        async with self._database.read() as session:
            total = await overview.count_failed(session, user_id)
            pages = max(1, -(-total // PAGE_SIZE))
            page = min(max(1, page), pages)
            rows = await overview.failed_posts(session, user_id, PAGE_SIZE, (page - 1) * PAGE_SIZE)
        now = self._clock()
        return FailedPage(tuple(_card(row, now) for row in rows), page, pages, total)


def _card(row: Any, now: datetime, attempts: list[Attempt] | None = None) -> PostCard:
    has_name = row.channel_id is None or row.channel_username != nameless(row.channel_id)
    return PostCard(
        id=row.id,
        channel_title=row.channel_title,
        channel_username=row.channel_username if has_name else None,
        text=row.text,
        url=row.url,
        tags=tuple(row.tags),
        status=row.tagging_status or "pending",
        attempts=row.tagging_attempts or 0,
        error=row.tagging_error,
        next_attempt_at=row.next_attempt_at,
        failure_kind=row.failure_kind,
        skipped=row.skipped_at is not None,
        leased=row.lease_expires_at is not None and row.lease_expires_at > now,
        owner_telegram_id=row.telegram_id,
        attempt_log=tuple(_attempt(attempt) for attempt in attempts or ()),
        gone_at=row.gone_at,
    )


def _attempt(row: Attempt) -> AttemptView:
    return AttemptView(
        at=row.at,
        model_asked=row.model_asked,
        model_answered=row.model_answered,
        outcome=row.outcome,
        http_status=row.http_status,
        seconds=row.seconds,
        error=row.error,
    )
