"""Deliveries of a source's messages become posts, each stored once for its user."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy import text as sql

from services.ingest.store import MAX_VIEWS, StoreResult, store
from services.sources.base import Delivery, SourceChannel, SourcePost
from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate
from storage.queue import claim
from storage.queue.claim import Priority
from storage.schema.tables import Channel, Post, User
from tests.legacy import POSTS, make_legacy

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
POSTED = NOW - timedelta(days=30)
CHANNEL = SourceChannel(-1001234567890, "TheNews", "News")
ANNA, BEN = 1, 2


@pytest.fixture
async def users(database: Database) -> Database:
    async with database.write() as session:
        session.add_all([User(id=ANNA, telegram_id=11), User(id=BEN, telegram_id=12)])
    return database


def a_post(number: int, text: str | None = "Some text", **more: Any) -> SourcePost:
    return SourcePost(number, text, POSTED, **{"as_of": POSTED, **more})


async def stored(
    database: Database,
    *posts: SourcePost,
    user_id: int = ANNA,
    channel: SourceChannel = CHANNEL,
    now: datetime = NOW,
    is_whole: bool = False,
    **options: Any,
) -> StoreResult:
    """Store a delivery of these posts."""
    delivery = Delivery(channel, posts, len(posts), is_whole=is_whole)
    async with database.write() as session:
        return await store(session, user_id, delivery, now, **options)


async def posts_of(database: Database) -> Sequence[Post]:
    async with database.read() as session:
        return (await session.execute(select(Post).order_by(Post.user_id, Post.telegram_message_id))).scalars().all()


async def set_all(database: Database, **values: Any) -> None:
    async with database.write() as session:
        await session.execute(update(Post).values(**values))


async def test_new_posts_are_stored_with_their_channel(users: Database) -> None:
    tally = await stored(users, a_post(2, "Hello", views=7, url="https://t.me/x/2"), a_post(3, " \n"), a_post(4, None))
    assert tally == StoreResult(tally.channel_id, new=3, queued=1)
    first, second, third = await posts_of(users)
    assert (first.text, first.views, first.url, first.posted_at) == ("Hello", 7, "https://t.me/x/2", POSTED)
    assert (first.user_id, first.parsed_at, first.tags) == (ANNA, NOW, [])
    assert [post.tagging_status for post in (first, second, third)] == ["pending", "skipped", "skipped"]
    async with users.read() as session:
        channel = (await session.execute(select(Channel))).scalar_one()
    assert (channel.channel_id, channel.channel_username, channel.channel_title) == (-1001234567890, "TheNews", "News")
    assert {post.channel_id for post in (first, second, third)} == {channel.id} == {tally.channel_id}


async def test_what_is_known_is_not_stored_again_but_each_user_has_their_own(users: Database) -> None:
    await stored(users, a_post(1), a_post(2))
    assert await stored(users, a_post(1), a_post(2), a_post(2), a_post(3)) == StoreResult(1, new=1, known=2, queued=1)
    assert (await stored(users, a_post(1), user_id=BEN)).new == 1
    assert [(post.user_id, post.telegram_message_id) for post in await posts_of(users)] == [
        *((ANNA, number) for number in (1, 2, 3)),
        (BEN, 1),
    ]


async def test_many_posts_at_once(users: Database) -> None:
    """More than a statement has parameters for."""
    many = [a_post(number) for number in range(1, 2501)]
    assert (await stored(users, *many)).new == 2500
    assert (await stored(users, *many)).known == 2500


async def test_of_messages_with_the_same_number_the_last_counts(users: Database) -> None:
    await stored(users, a_post(1, "first"), a_post(1, "last"))
    assert [post.text for post in await posts_of(users)] == ["last"]


@pytest.mark.parametrize(
    ("as_of", "text", "expected"),
    [
        (NOW + timedelta(seconds=1), "New", "New"),
        (None, "New", "New"),
        (NOW, "New", "Old"),
        (NOW - timedelta(days=1), "New", "Old"),
        # What has lost its text keeps it here.
        (NOW + timedelta(days=1), "", "Old"),
        (None, None, "Old"),
    ],
)
async def test_a_newer_text_takes_the_place_of_an_older_one(
    as_of: datetime | None, text: str | None, expected: str, users: Database
) -> None:
    await stored(users, a_post(1, "Old"))
    await set_all(users, tagging_status="success", tags=["old"])
    later = NOW + timedelta(days=2)
    tally = await stored(users, a_post(1, text, as_of=as_of), now=later)
    is_edited = expected == "New"
    assert tally == StoreResult(1, known=not is_edited, edited=is_edited, queued=is_edited)
    (post,) = await posts_of(users)
    assert (post.text, post.tags) == (expected, ["old"])
    assert post.tagging_status == ("pending" if is_edited else "success")
    assert post.parsed_at == (later if is_edited else NOW)


async def test_a_text_takes_the_place_of_none_however_old(users: Database) -> None:
    await stored(users, a_post(1, None))
    assert (await stored(users, a_post(1, "Caption", as_of=POSTED - timedelta(days=9)))).edited == 1
    (post,) = await posts_of(users)
    assert (post.text, post.tagging_status) == ("Caption", "pending")


async def test_a_text_that_the_parser_stored_without_saying_when_stays(users: Database) -> None:
    await stored(users, a_post(1, "The parser's"))
    await set_all(users, parsed_at=None)
    assert (await stored(users, a_post(1, "Other", as_of=NOW))).known == 1


async def test_an_album_is_known_by_any_of_its_messages(users: Database) -> None:
    await stored(users, a_post(5, "Caption", members=(5, 6, 7), media_group_id="g"))
    assert (await stored(users, a_post(6, "Caption", members=(5, 6, 7)))).known == 1
    assert (await stored(users, a_post(7, "Newer", members=(5, 6, 7), as_of=None))).edited == 1
    assert [(p.telegram_message_id, p.text, p.media_group_id) for p in await posts_of(users)] == [(5, "Newer", "g")]


async def test_what_a_whole_delivery_does_not_hold_was_deleted(users: Database) -> None:
    await stored(users, *(a_post(number) for number in range(1, 8)))
    await stored(users, a_post(4), user_id=BEN)
    tally = await stored(users, a_post(2), a_post(3, members=(3, 4)), a_post(6), is_whole=True)
    assert (tally.known, tally.gone) == (3, 1)
    gone = [(post.user_id, post.telegram_message_id) for post in await posts_of(users) if post.gone_at == NOW]
    assert gone == [(ANNA, 5)]
    assert (await stored(users, a_post(2), a_post(6), is_whole=True, now=NOW + timedelta(days=1))).gone == 2
    assert (await stored(users, is_whole=True)) == StoreResult(1)
    # It is there after all.
    await stored(users, a_post(5))
    assert [post.gone_at for post in await posts_of(users) if post.telegram_message_id == 5] == [None]


async def test_what_a_parser_stored_twice_is_changed_and_deleted_together(users: Database) -> None:
    later = NOW + timedelta(days=1)
    tally = await stored(users, a_post(1), a_post(2), a_post(3))
    async with users.write() as session:
        double = {"user_id": ANNA, "channel_id": tally.channel_id, "telegram_message_id": 2, "posted_at": POSTED}
        session.add(Post(**double, text="Some text", parsed_at=NOW))
    edit = a_post(2, "Another text", as_of=later)
    tally = await stored(users, a_post(1), edit, a_post(3), now=later, is_whole=True)
    assert (tally.known, tally.edited, tally.queued, tally.gone) == (2, 1, 1, 0)
    assert [post.text for post in await posts_of(users)] == ["Some text", "Another text", "Another text", "Some text"]
    await stored(users, a_post(1), a_post(3), now=later, is_whole=True)
    assert [post.gone_at for post in await posts_of(users)] == [None, later, later, None]
    await stored(users, a_post(1), edit, a_post(3), now=later, is_whole=True)
    assert [post.gone_at for post in await posts_of(users)] == [None] * 4


async def test_a_backfill_is_worked_on_after_all_that_is_fresh(users: Database) -> None:
    """Though its posts are newer, another user's, and were there first."""
    newer = replace(a_post(1), posted_at=NOW)
    await stored(users, newer, replace(newer, message_id=2), user_id=BEN, work_class=Priority.BACKFILL)
    await stored(users, a_post(3), a_post(4))
    claims = []
    for token in ("a", "b"):
        async with users.write() as session:
            claimed = await claim.claim_posts(session, limit=2, now=NOW, lease_seconds=60, token=token, after_user=0)
        claims.append({(post.user_id, post.work_class) for post in claimed})
    assert claims == [{(ANNA, Priority.FRESH)}, {(BEN, Priority.BACKFILL)}]


async def test_what_no_database_holds_is_left_out(users: Database) -> None:
    odd = "a\x00b\ud800c"
    channel = SourceChannel(-1005, "@na\x00me", odd)
    await stored(users, a_post(1, odd, url=odd, views=10**12), a_post(2, "\x00"), a_post(3, views=-5), channel=channel)
    first, second, third = await posts_of(users)
    assert (first.text, first.url, first.views) == ("abc", "abc", MAX_VIEWS)
    assert (second.tagging_status, third.views) == ("skipped", 0)
    async with users.read() as session:
        row = (await session.execute(select(Channel))).scalar_one()
    assert (row.channel_username, row.channel_title) == ("name", "abc")


async def test_a_channel_is_found_by_its_number_or_its_name(users: Database) -> None:
    """One row for all: the parser's number has no prefix, a preview knows the name alone."""
    async with users.write() as session:
        session.add(Channel(channel_username="@thenews", channel_id=1234567890, channel_title="Old"))
    for channel in (CHANNEL, SourceChannel(None, "TheNews", "News"), replace(CHANNEL, username=None)):
        await stored(users, a_post(1), channel=channel)
    async with users.read() as session:
        assert (await session.execute(select(func.count()).select_from(Channel))).scalar_one() == 1
    assert len(await posts_of(users)) == 1


async def test_a_table_that_asks_for_more_gets_neutral_values(database_url: str) -> None:
    """The parser's tables may have columns that Metka does not know."""
    await make_legacy(database_url, "parser", [])
    database = Database(parse_url(database_url))
    more = "likes INTEGER DEFAULT 5 NOT NULL, source VARCHAR NOT NULL, seen_at TIMESTAMP NOT NULL"
    key = "INTEGER PRIMARY KEY" if database.is_sqlite else "SERIAL PRIMARY KEY"
    async with database.write() as session:
        await session.execute(sql("DROP TABLE posts"))
        await session.execute(sql(f"{POSTS.format(key=key).rstrip().removesuffix(')')}, {more})"))
    await migrate(database, now=NOW)
    assert (await stored(database, a_post(1), a_post(2))).new == 2
    assert (await stored(database, a_post(3))).new == 1
    async with database.read() as session:
        rows = (await session.execute(sql("SELECT likes, source FROM posts"))).all()
    assert [tuple(row) for row in rows] == [(5, "")] * 3
    await database.close()


async def test_two_at_once_store_each_post_once(users: Database, migrated_url: str) -> None:
    """Two processes that import the same, and a reader of the channel's preview."""
    other = Database(parse_url(migrated_url))
    posts = [a_post(number) for number in range(1, 101)]
    by_name, by_number = replace(CHANNEL, telegram_id=None), replace(CHANNEL, username=None)
    await stored(users, a_post(1000))
    deliveries = [(database, channel) for database in (users, other) for channel in (by_name, by_number, CHANNEL)] * 2
    tallies = await asyncio.gather(*(stored(database, *posts, channel=channel) for database, channel in deliveries))
    await other.close()
    assert sum(tally.new for tally in tallies) == 100
    assert len(await posts_of(users)) == 101
