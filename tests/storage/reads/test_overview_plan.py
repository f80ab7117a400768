"""How the databases find what people and programs ask for: from an index, and no more of it than need be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage import outbox
from storage.db.engine import Database
from storage.posts import equal_texts
from storage.queue import arrivals, attempt_log, claim, provider_waits, retry_requests
from storage.reads import lists, overview
from storage.schema.tables import Attempt
from tests.storage.plan import is_full_scan, plans_of
from tests.storage.rows import NOW, add_posts, add_user

USERS = 12
Work = Callable[[AsyncSession], Awaitable[Any]]


@pytest.fixture
async def filled(database: Database) -> Database:
    """Users with many posts that are through, and a few that are not; PostgreSQL has looked at them."""
    async with database.write() as session:
        for user in range(1, USERS + 1):
            await add_user(session, user)
            await add_posts(session, user, 200, first=user * 1000, tagging_status="success", tags=["a", "b"])
            for number, status in enumerate(("pending", "retrying", "failed", "skipped"), start=2):
                later = NOW + timedelta(hours=1) if status == "retrying" else None
                first = user * 1000 + number * 100
                await add_posts(session, user, 5, first=first, tagging_status=status, next_attempt_at=later)
        await session.execute(insert(Attempt), [_attempt(post) for post in range(1000, 1200)])
        if not database.is_sqlite:
            await session.execute(sql("ANALYZE"))
    return database


def _attempt(post: int) -> dict[str, Any]:
    at = NOW - timedelta(minutes=post)
    values = {"request_id": "r", "model_asked": "m", "outcome": "tagged", "seconds": 1.0, "ended": "tagged"}
    return {"post_id": post, "at": at, **values}


#: A user's posts, the newest first: on PostgreSQL, and on SQLite.
NEWEST = {"ix_metka_posts_user_posted", "ix_metka_posts_user_tags"}

#: What is asked → the work, and the indexes that its statements on posts or attempts may use (and no others).
ASKED: dict[str, tuple[Work, set[str]]] = {
    "/stats: by status": (
        lambda session: overview.count_by_status(session, 1),
        {"ix_metka_posts_user_channel", "ix_metka_posts_unfinished"},
    ),
    "a day's quota": (
        lambda session: arrivals.count(session, NOW, NOW - timedelta(hours=12), [timedelta(hours=1)], 30),
        NEWEST | {"ix_metka_posts_queue"},
    ),
    "/stats: tagged": (
        lambda session: overview.count_tagged_unfinished(session, 1),
        {"ix_metka_posts_tagged_unfinished"},
    ),
    "/stats: next": (lambda session: overview.next_attempt_at(session, 1, NOW), {"ix_metka_posts_unfinished"}),
    "/stats all: tagged": (
        lambda session: overview.count_tagged_unfinished(session, None),
        {"ix_metka_posts_tagged_unfinished"},
    ),
    "/stats all: next": (lambda session: overview.next_attempt_at(session, None, NOW), {"ix_metka_posts_due"}),
    "the backlog": (
        overview.count_queued,
        {"ix_metka_posts_due", "ix_metka_posts_queue", "ix_metka_posts_unfinished"},
    ),
    "/failed: how many": (lambda session: overview.count_failed(session, 1), {"ix_metka_posts_unfinished"}),
    "/failed: a page": (lambda session: overview.failed_posts(session, 1, 10, 100), {"ix_metka_posts_unfinished"}),
    "need a retry": (lambda session: lists.count_needing_retry(session, 1, 5), {"ix_metka_posts_unfinished"}),
    "channels": (lambda session: lists.channels(session, 1), {"ix_metka_posts_user_channel"}),
    "posts of a tag": (lambda session: _page(session, tag="b"), NEWEST),
    "posts of no tag": (lambda session: _page(session, tag="no"), NEWEST),
    "posts of any tag": (lambda session: lists.newest_tagged(session, 1, None, 10), NEWEST),
    "failed posts": (lambda session: _page(session, status="failed"), {"ix_metka_posts_unfinished"}),
    "pending posts": (lambda session: _page(session, status="pending"), {"ix_metka_posts_unfinished"}),
    "tagged posts": (lambda session: _page(session, status="success"), NEWEST),
    "equal texts": (lambda session: equal_texts.tagged_alike(session, [1, 2]), {"ix_metka_posts_text_key"}),
    "next due": (lambda session: claim.next_due_at(session, NOW - timedelta(days=99999)), {"ix_metka_posts_due"}),
    "/retry": (lambda session: _batch(session, 1), {"ix_metka_posts_unfinished"}),
    "/retry of all": (lambda session: _batch(session, None), {"ix_metka_posts_troubled", "ix_metka_posts_queue"}),
    "the daily retry": (
        lambda session: retry_requests.queue_nightly(session, 9, NOW, NOW),
        {"ix_metka_posts_troubled"},
    ),
    "the upstream is back": (provider_waits.provider_is_back, {"ix_metka_posts_waits"}),
    "others are served": (provider_waits.provider_serves, {"ix_metka_posts_waits"}),
    "how attempts ended": (
        lambda session: attempt_log.ended_lately(session, NOW - timedelta(hours=1), NOW),
        {"ix_metka_attempts_ended"},
    ),
    "the last success": (attempt_log.last_success_at, {"ix_metka_attempts_outcome_at", "ix_metka_attempts_at"}),
    "others' faults": (
        lambda session: attempt_log.others_failed(session, ["server_error"], NOW),
        {"ix_metka_attempts_outcome_at", "ix_metka_attempts_at"},
    ),
    "old attempts": (lambda session: attempt_log.prune_attempts(session, NOW, 9), {"ix_metka_attempts_at"}),
    "a post's attempts": (lambda session: overview.last_attempts(session, 1000, 9), {"ix_metka_attempts_post"}),
    "what is to be told": (lambda session: outbox.anything_due(session, NOW), set()),
}


async def _page(session: AsyncSession, status: str | None = None, tag: str | None = None) -> None:
    await lists.posts(session, 1, status=status, tag=tag, before=None, limit=10)


async def _batch(session: AsyncSession, user_id: int | None) -> None:
    await retry_requests.start_run(session, user_id=user_id, telegram_id=None, limit=999, force=False, now=NOW)


@pytest.mark.parametrize("asked", ASKED)
async def test_no_statement_reads_a_whole_table(filled: Database, asked: str) -> None:
    """Of posts or attempts; each keeps to the index that was made for it."""
    work, allowed = ASKED[asked]
    # In a small table PostgreSQL would sort what it finds by any index; only NULLs it always sorts ("pending posts").
    sorts = () if asked == "pending posts" else ("enable_sort",)
    plans = await plans_of(filled, work, forbidden=("enable_seqscan", "enable_bitmapscan", *sorts))
    assert plans
    for plan in plans:
        lines = plan.splitlines()
        assert not [line for line in lines if is_full_scan(line)], plan
        named = {word.strip("',()") for line in lines for word in line.split() if "ix_metka_" in word}
        used = {name for name in named if name.startswith(("ix_metka_posts", "ix_metka_attempts"))}
        assert used <= allowed, plan
    if allowed:
        assert any(name in plan for plan in plans for name in allowed), plans


#: What gives the newest → how often the few that it gives are put in order at the end.
IN_ORDER = {
    "failed posts": 0,
    "tagged posts": 0,
    "/retry": 0,
    "the daily retry": 0,
    "old attempts": 0,
    "pending posts": 1,
    "/failed: a page": 1,
    "posts of a tag": 2,
}


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("asked", ["posts of a tag", "posts of no tag", "posts of any tag"])
async def test_tags_are_looked_for_in_the_index_alone(filled: Database, asked: str) -> None:
    """Rows of posts are read by their keys, once they are known to have the tag."""
    for plan in await plans_of(filled, ASKED[asked][0]):
        assert "COVERING INDEX ix_metka_posts_user_tags" in plan, plan
        read = [line for line in plan.splitlines() if " posts " in line and "COVERING INDEX" not in line]
        assert all("USING INTEGER PRIMARY KEY" in line for line in read), plan


@pytest.mark.parametrize("asked", IN_ORDER)
async def test_no_backlog_is_sorted(filled: Database, asked: str) -> None:
    """The newest come in the order of an index."""
    forbidden = ("enable_seqscan", "enable_bitmapscan", "enable_sort")
    plans = await plans_of(filled, ASKED[asked][0], forbidden=forbidden)
    sorts = [line for plan in plans for line in plan.splitlines() if "->  Sort " in line or "FOR ORDER BY" in line]
    assert len(sorts) <= IN_ORDER[asked], plans
