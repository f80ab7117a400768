"""Pages of posts, tags and their counts, channels, users."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from services.listing import BadCursorError, Listing, UnknownUserError
from storage.database import Database
from storage.models import Attempt, Channel, UserChannel
from tests.storage.rows import NOW, add_posts, add_user


@pytest.fixture
async def listing(database: Database) -> Listing:
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 7)
        await add_posts(session, 2, 2, first=100)
    return Listing(database)


async def walk(listing: Listing, limit: int, **filters: str) -> list[int]:
    """The ids of all pages."""
    found: list[int] = []
    before: str | None = None
    while True:
        page = await listing.posts(1, before=before, limit=limit, **filters)
        found += [post.id for post in page.posts]
        before = page.next
        if before is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_hold_each_post_once_the_newest_first(listing: Listing, limit: int) -> None:
    assert await walk(listing, limit) == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_posts_of_one_second_are_told_apart(database: Database, listing: Listing, limit: int) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE posts SET posted_at = '2026-01-01 12:00:00'"))
    assert await walk(listing, limit) == [7, 6, 5, 4, 3, 2, 1]


async def test_a_page_goes_on_where_its_last_post_was_deleted(database: Database, listing: Listing) -> None:
    first = await listing.posts(1, limit=3)
    async with database.write() as session:
        await session.execute(text("DELETE FROM posts WHERE id = 5"))
    assert [post.id for post in (await listing.posts(1, before=first.next, limit=9)).posts] == [4, 3, 2, 1]


async def test_before_may_be_a_time(listing: Listing) -> None:
    at = NOW + timedelta(minutes=3)
    for before in (at.isoformat(), at.replace(tzinfo=None).isoformat(), at.isoformat().replace("+00:00", "Z")):
        assert [post.id for post in (await listing.posts(1, before=before, limit=9)).posts] == [2, 1]


@pytest.mark.parametrize(
    "before",
    ["", "x", "_", "2026-01-01T00:00:00Z_x", "2026-02-30", "0001-01-01", "_5",
     "0001-01-01T00:00:00+23:00", "2026-01-01T00:00:00Z_٣", "\x00"],
)  # fmt: skip
async def test_another_before_is_refused(listing: Listing, before: str) -> None:
    with pytest.raises(BadCursorError):
        await listing.posts(1, before=before, limit=9)


@pytest.mark.parametrize(
    "before",
    ["2026-02-29", "2999-12-31T23:59:59.1-23:59_9999999999", "2026-01-01T15:04 03:00", "2026-01-01T15:04+03:00"],
)
async def test_every_time_of_the_pattern_is_understood(listing: Listing, before: str) -> None:
    found = [post.id for post in (await listing.posts(1, before=before, limit=9)).posts]
    assert found == ([3, 2, 1] if "15:04" in before else [7, 6, 5, 4, 3, 2, 1])


async def test_posts_by_status_and_tag(database: Database, listing: Listing) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE posts SET tags = :t, tagging_status = 'success' WHERE id IN (2, 4)"),
                              {"t": '["новости", "Go"]'})  # fmt: skip
        await session.execute(text("UPDATE posts SET tagging_status = NULL WHERE id = 1"))
    assert await walk(listing, 1, tag="новости") == [4, 2]
    assert await walk(listing, 9, tag="go") == []
    assert await walk(listing, 9, tag="' OR 1=1 --") == []
    assert await walk(listing, 1, status="success", tag="Go") == [4, 2]
    # What a parser's column without a default says of a new post.
    assert await walk(listing, 2, status="pending") == [7, 6, 5, 3, 1]
    assert (await listing.posts(1, status="pending", limit=9)).posts[-1].tagging_status == "pending"


ODD_TAGS = [
    'null', '[]', '{"a": 1}', '"новости"', '[1, null, ["x"], {"y": 2}]', '["новости", "новости"]',
    r'["a\u0000b", "\ud800", "\udc00", "\ud83d\ude00"]',
]  # fmt: skip


async def test_tags_are_counted_whatever_the_column_holds(database: Database, listing: Listing) -> None:
    async with database.write() as session:
        for post_id, tags in enumerate(ODD_TAGS, start=1):
            await session.execute(text("UPDATE posts SET tags = :t WHERE id = :id"), {"t": tags, "id": post_id})
        await session.execute(text("UPDATE posts SET tags = :t WHERE id = 100"), {"t": '["другой"]'})
    counted = {found.tag: found.count for found in await listing.tags(1, 100)}
    assert counted["новости"] == 1
    assert counted["😀"] == 1
    assert "другой" not in counted
    assert "1" not in counted
    assert await walk(listing, 9, tag="новости") == [6]


async def test_the_most_frequent_tags_come_first(database: Database, listing: Listing) -> None:
    async with database.write() as session:
        for post_id, tags in ((1, '["b", "a"]'), (2, '["b"]'), (3, '["c", "b"]')):
            await session.execute(text("UPDATE posts SET tags = :t WHERE id = :id"), {"t": tags, "id": post_id})
    assert [(found.tag, found.count) for found in await listing.tags(1, 2)] == [("b", 3), ("a", 1)]


async def test_a_post_with_its_attempts(database: Database, listing: Listing) -> None:
    async with database.write() as session:
        for number in (1, 2):
            session.add(Attempt(post_id=3, request_id=str(number), at=NOW + timedelta(hours=number),
                                model_asked="m", outcome="tagged", seconds=0.5))  # fmt: skip
    found = await listing.post(3, None)
    assert found is not None
    post, attempts = found
    assert (post.id, post.user_id, post.posted_at) == (3, 1, NOW + timedelta(minutes=3))
    assert [attempt.at.hour for attempt in attempts] == [14, 13]
    assert await listing.post(3, 2) is None
    assert await listing.post(3, 1) is not None
    assert await listing.post(99, None) is None


async def test_channels_followed_or_posted_in(database: Database, listing: Listing) -> None:
    async with database.write() as session:
        session.add(Channel(id=50, channel_username="quiet"))
        await session.flush()
        parsed = datetime(2026, 2, 1, tzinfo=UTC)
        session.add(UserChannel(user_id=1, channel_id=50, is_active=False, last_parsed_at=parsed))
    found = await listing.channels(1)
    assert [(channel.id, channel.posts, channel.is_active) for channel in found] == [(1, 7, True), (50, 0, False)]
    assert found[1].last_parsed_at == parsed


async def test_users_in_pages(listing: Listing) -> None:
    first, after = await listing.users(after=0, limit=1, only=None)
    assert ([user.id for user in first], after) == ([1], 1)
    second, end = await listing.users(after=1, limit=1, only=None)
    assert ([user.telegram_id for user in second], end) == ([1002], None)
    assert [user.id for user in (await listing.users(after=0, limit=9, only=2))[0]] == [2]


async def test_nothing_is_told_of_a_user_whom_there_is_not(database: Database, listing: Listing) -> None:
    async with database.write() as session:
        await add_user(session, 9)
    for user_id, fails in ((9, False), (3, True)):
        for ask in (
            listing.make_sure_of,
            lambda one: listing.tagging_counts(one, 5),
            listing.channels,
            lambda one: listing.tags(one, 5),
            lambda one: listing.posts(one, limit=5),
        ):
            with pytest.raises(UnknownUserError) if fails else nullcontext():
                await ask(user_id)


async def test_only_posts_with_attempts_left_need_a_retry(database: Database, listing: Listing) -> None:
    async with database.write() as session:
        values = "UPDATE posts SET tagging_status = :s, tagging_attempts = :a WHERE id = :id"
        for post_id, status, attempts in ((1, "failed", 5), (2, "failed", 4), (3, "retrying", 1), (4, "success", 1)):
            await session.execute(text(values), {"s": status, "a": attempts, "id": post_id})
    assert (await listing.tagging_counts(1, 5)).need_retry == 2
