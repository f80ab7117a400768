"""Queries of the HTTP API: pages of posts, tags, channels, users, counts."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.library.api_queries import ApiQueries, ListedChannel, ListedUser, UnknownUserError
from storage.db.engine import Database
from storage.reads import lists, overview
from storage.schema.tables import Attempt, Channel, UserChannel
from tests.storage.rows import NOW, add_posts, add_user, sqlite_without_foreign_keys


@pytest.fixture
async def listing(database: Database) -> ApiQueries:
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 7)
        await add_posts(session, 2, 2, first=100)
    return ApiQueries(database)


async def walk(listing: ApiQueries, limit: int, **filters: str) -> list[int]:
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
async def test_pages_hold_each_post_once_the_newest_first(listing: ApiQueries, limit: int) -> None:
    assert await walk(listing, limit) == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_posts_of_one_second_are_told_apart(database: Database, listing: ApiQueries, limit: int) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE posts SET posted_at = '2026-01-01 12:00:00'"))
    assert await walk(listing, limit) == [7, 6, 5, 4, 3, 2, 1]


async def test_a_page_goes_on_where_its_last_post_was_deleted(database: Database, listing: ApiQueries) -> None:
    first = await listing.posts(1, limit=3)
    async with database.write() as session:
        await session.execute(text("DELETE FROM posts WHERE id = 5"))
    assert [post.id for post in (await listing.posts(1, before=first.next, limit=9)).posts] == [4, 3, 2, 1]


async def test_pages_tell_nothing_of_other_users_posts(listing: ApiQueries) -> None:
    """A cursor with the id of another user's post behaves like one with an unknown id."""
    for post_id in (100, 101, 999):
        page = await listing.posts(1, before=f"1000-01-01T00:00:00Z_{post_id}", limit=9)
        assert page.posts == []


ODD_TIMES = {
    "sqlite": [
        "9999-12-31 23:59:59",
        "9999-12-31 23:59:59",
        "0001-01-01T00:00:00+05:00",
        "0999-01-01",
        "soon",
        "",
        " ",
    ],
    "postgresql": ["infinity", "infinity", "-infinity", "-infinity", "9999-12-31 23:59:59", "0999-01-01", "3000-01-01"],
}


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_go_on_whatever_the_times_are(
    database: Database, listing: ApiQueries, backend: str, limit: int
) -> None:
    async with database.write() as session:
        for post_id, at in enumerate(ODD_TIMES[backend], start=1):
            await session.execute(text(f"UPDATE posts SET posted_at = '{at}' WHERE id = {post_id}"))
        await add_posts(session, 1, 2, first=8)
    found = await walk(listing, limit)
    assert sorted(found) == list(range(1, 10))


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("posted_at", "is_listed"),
    [
        ("2026-01-05 12:00:00.000000", False),
        ("2026-01-05 11:59:59.999999", True),
        ("2026-01-05 12:00:00", False),
        ("2026-01-05 11:59:59", True),
        ("2026-01-05 12:00:00.0", False),
        ("2026-01-05T12:00:00", False),
        ("2026-01-05T11:59:59.999999", True),
        ("2026-01-05T09:00:00", True),
        ("2026-01-05T14:59:59+03:00", True),
        ("2026-01-05T15:00:00+03:00", False),
        ("2026-01-06 01:00:00+14:00", True),
        ("2026-01-04 23:00:00-14:00", False),
        ("2026-01-05T11:59:59Z", True),
        ("2026-01-05T12:00:00Z", False),
        ("2026-01-05", True),
        ("2026-01-06", False),
        ("2026-01-05 11:59", True),
    ],
)
async def test_before_a_time_in_whatever_words_sqlite_holds_it(
    database: Database, listing: ApiQueries, posted_at: str, is_listed: bool
) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE posts SET posted_at = :at WHERE id = 7"), {"at": posted_at})
    page = await listing.posts(1, before="2026-01-05T12:00:00Z", limit=9)
    assert [post.id for post in page.posts] == [*([7] if is_listed else []), 6, 5, 4, 3, 2, 1]


async def test_before_may_be_a_time(listing: ApiQueries) -> None:
    at = NOW + timedelta(minutes=3)
    for before in (at.isoformat(), at.replace(tzinfo=None).isoformat(), at.isoformat().replace("+00:00", "Z")):
        assert [post.id for post in (await listing.posts(1, before=before, limit=9)).posts] == [2, 1]


@pytest.mark.parametrize(
    "before",
    ["", "x", "_", "2026-01-01T00:00:00Z_x", "2026-02-30", "0001-01-01", "_5",
     "0001-01-01T00:00:00+23:00", "2026-01-01T00:00:00Z_٣", "\x00"],
)  # fmt: skip
async def test_another_before_is_refused(listing: ApiQueries, before: str) -> None:
    with pytest.raises(ValueError, match="before"):
        await listing.posts(1, before=before, limit=9)


@pytest.mark.parametrize(
    "before",
    ["2026-02-29", "2999-12-31T23:59:59.1-23:59_9999999999", "2026-01-01T15:04 03:00", "2026-01-01T15:04+03:00"],
)
async def test_every_time_of_the_pattern_is_understood(listing: ApiQueries, before: str) -> None:
    found = [post.id for post in (await listing.posts(1, before=before, limit=9)).posts]
    assert found == ([3, 2, 1] if "15:04" in before else [7, 6, 5, 4, 3, 2, 1])


async def test_posts_by_status_and_tag(database: Database, listing: ApiQueries) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE posts SET tags = :t, tagging_status = 'success' WHERE id IN (2, 4)"),
                              {"t": '["новости", "Go"]'})  # fmt: skip
        await session.execute(text("UPDATE posts SET tagging_status = NULL WHERE id = 1"))
    assert await walk(listing, 1, tag="новости") == [4, 2]
    assert await walk(listing, 9, tag="go") == []
    assert await walk(listing, 9, tag="' OR 1=1 --") == []
    assert await walk(listing, 1, status="success", tag="Go") == [4, 2]
    # A new post in a parser's column without a default.
    assert await walk(listing, 2, status="pending") == [7, 6, 5, 3, 1]
    assert (await listing.posts(1, status="pending", limit=9)).posts[-1].tagging_status == "pending"


SPELLINGS = [
    '["новости"]',
    r'["\u043D\u043e\u0432ости"]',
    r'["😀", "\ud83d\ude00", "новости"]',
    '["новости и другое"]',
    '[["новости"]]',
]


@pytest.mark.parametrize(("piece", "fewest"), [(1, 1), (2, 1), (3, 5), (100, 1), (100, 100)])
async def test_a_tag_is_found_however_it_is_spelt_and_however_far_away(
    database: Database, listing: ApiQueries, monkeypatch: pytest.MonkeyPatch, piece: int, fewest: int
) -> None:
    """Posts that only look similar are skipped, however many they are."""
    monkeypatch.setattr(lists, "PIECE", piece)
    monkeypatch.setattr(lists, "FEWEST", fewest)
    async with database.write() as session:
        for post_id, tags in enumerate(SPELLINGS, start=1):
            await session.execute(text("UPDATE posts SET tags = :t WHERE id = :id"), {"t": tags, "id": post_id})
    for limit in (1, 2, 9):
        assert await walk(listing, limit, tag="новости") == [3, 2, 1]
        assert await walk(listing, limit, tag="😀") == [3]
        assert await walk(listing, limit, tag="другое") == []


@pytest.mark.parametrize(
    ("tag", "spelling"),
    [
        ("Новости", r'["\u041D\u043e\u0432\u043e\u0441\u0442\u0438"]'),
        ("да/нет", r'["\u0434\u0430\/\u043d\u0435\u0442"]'),
        ("café", r'["caf\u00E9"]'),
        ("ты & я", r'["\u0442\u044b \u0026 \u044f"]'),
        ('"да"', r'["\"\u0434\u0430\""]'),
        ("да\\нет", r'["\u0434\u0430\\\u043d\u0435\u0442"]'),
        ("а\tб", r'["\u0430\t\u0431"]'),
        ("а\x7fб", '["\\u0430\x7f\\u0431"]'),
        ("😀", r'["\uD83D\uDE00"]'),
    ],
)
async def test_a_tag_is_found_however_programs_escape_it(
    database: Database, listing: ApiQueries, tag: str, spelling: str
) -> None:
    """JSON with escapes, as Python, PHP, Go and .NET write it."""
    async with database.write() as session:
        await session.execute(text("UPDATE posts SET tags = :t WHERE id = 3"), {"t": spelling})
        await session.execute(text("UPDATE posts SET tags = :t WHERE id = 4"), {"t": r'["\u0434\u0430"]'})
    assert await walk(listing, 9, tag=tag) == [3]


ODD_TAGS = [
    'null', '{"a": 1}', '"новости"', '[1, null, ["x"], {"y": 2}]', '["новости", "новости"]',
    r'["a\u0000b", "\ud800", "\udc00", "\ud83d\ude00", "\ud83d\ud83d\ude00"]',
    r'["", " ", "\u2003", "a\\u0000", "\\\ud83d"]',
]  # fmt: skip


async def test_a_tag_is_found_whatever_the_column_holds(database: Database, listing: ApiQueries) -> None:
    async with database.write() as session:
        for post_id, tags in enumerate(ODD_TAGS, start=1):
            await session.execute(text("UPDATE posts SET tags = :t WHERE id = :id"), {"t": tags, "id": post_id})
        await session.execute(text("UPDATE posts SET tags = :t WHERE id = 100"), {"t": '["новости"]'})
    assert await walk(listing, 9, tag="новости") == [5]


async def test_no_post_is_found_by_a_tag_that_it_does_not_show(database: Database, listing: ApiQueries) -> None:
    """Blank and unstorable tags are left out."""
    async with database.write() as session:
        for post_id, tags in enumerate(ODD_TAGS, start=1):
            await session.execute(text("UPDATE posts SET tags = :t WHERE id = :id"), {"t": tags, "id": post_id})
    for tag in ("a", "", " ", "\N{REPLACEMENT CHARACTER}" * 3):
        assert await walk(listing, 9, tag=tag) == []


async def test_tags_that_are_too_deep_are_none(database: Database, listing: ApiQueries) -> None:
    async with database.write() as session:
        deep = "[" * 3000 + "]" * 3000
        await session.execute(text("UPDATE posts SET tags = :t WHERE id = 3"), {"t": deep})
    assert [post.tags for post in (await listing.posts(1, limit=9)).posts] == [[]] * 7


async def test_a_post_with_its_attempts(database: Database, listing: ApiQueries) -> None:
    async with database.write() as session:
        for number in (1, 2):
            session.add(Attempt(post_id=3, request_id=str(number), at=NOW + timedelta(hours=number),
                                model_asked="m", outcome="tagged", seconds=0.5))  # fmt: skip
    found = await listing.post(3, None)
    assert found is not None
    assert (found.id, found.user_id, found.posted_at) == (3, 1, NOW + timedelta(minutes=3))
    assert [attempt.at.hour for attempt in found.attempts] == [14, 13]
    assert await listing.post(3, 2) is None
    assert await listing.post(3, 1) is not None
    assert await listing.post(99, None) is None


async def test_channels_followed_or_posted_in(database: Database, listing: ApiQueries) -> None:
    async with database.write() as session:
        session.add(Channel(id=50, channel_username="quiet"))
        await session.flush()
        parsed = datetime(2026, 2, 1, tzinfo=UTC)
        session.add(UserChannel(user_id=1, channel_id=50, is_active=False, last_parsed_at=parsed))
    found = await listing.channels(1)
    assert [(channel.id, channel.posts, channel.is_active) for channel in found] == [(1, 7, True), (50, 0, False)]
    assert found[1].last_parsed_at == parsed


async def test_users_in_pages(listing: ApiQueries) -> None:
    first, after = await listing.users(after=0, limit=1, only=None)
    assert ([user.id for user in first], after) == ([1], 1)
    second, end = await listing.users(after=1, limit=1, only=None)
    assert ([user.telegram_id for user in second], end) == ([1002], None)
    assert [user.id for user in (await listing.users(after=0, limit=9, only=2))[0]] == [2]


async def test_nothing_is_told_of_a_user_whom_there_is_not(database: Database, listing: ApiQueries) -> None:
    async with database.write() as session:
        await add_user(session, 9)
    for user_id, fails in ((9, False), (3, True)):
        for ask in (
            listing.check_user,
            lambda one: listing.tagging_counts(one, 5),
            listing.channels,
            lambda one: listing.posts(one, limit=5),
        ):
            with pytest.raises(UnknownUserError) if fails else nullcontext():
                await ask(user_id)


async def test_only_posts_with_attempts_left_need_a_retry(database: Database, listing: ApiQueries) -> None:
    async with database.write() as session:
        values = "UPDATE posts SET tagging_status = :s, tagging_attempts = :a WHERE id = :id"
        for post_id, status, attempts in ((1, "failed", 5), (2, "failed", 4), (3, "retrying", 1), (4, "success", 1)):
            await session.execute(text(values), {"s": status, "a": attempts, "id": post_id})
    assert (await listing.tagging_counts(1, 5)).need_retry == 2


async def test_counts_are_of_one_moment(
    database: Database, listing: ApiQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tags stored between the statements are not counted: `with_tags` never exceeds `total`."""
    count_by_status = overview.count_by_status

    async def then_tagged(session: AsyncSession, user_id: int | None) -> dict[str | None, int]:
        counts = await count_by_status(session, user_id)
        async with database.write() as other:
            await other.execute(text("UPDATE posts SET tags = '[\"a\"]', tagging_status = 'failed'"))
            await add_posts(other, 1, 9, first=10, tags=["a"])
        return counts

    monkeypatch.setattr(overview, "count_by_status", then_tagged)
    counts = await listing.tagging_counts(1, 5)
    assert (counts.total, counts.with_tags, counts.need_retry) == (7, 0, 0)
    monkeypatch.undo()
    assert (await listing.tagging_counts(1, 5)).total == 16


#: Column of posts → a value of another program on SQLite, and what is shown.
ODD_VALUES: list[tuple[str, str, Any]] = [
    ("text", "X'fffe'", "\ufffd\ufffd"),
    ("text", "CAST(X'EDA080' AS TEXT)", "\ufffd\ufffd\ufffd"),
    ("text", "5", "5"),
    ("url", "X'61'", "a"),
    ("tagging_error", "X'ff'", "\ufffd"),
    ("tagging_status", "X'61'", "a"),
    ("tagging_status", "''", "pending"),
    ("telegram_message_id", "'abc'", None),
    ("telegram_message_id", "5.5", None),
    ("telegram_message_id", "X'35'", None),
    ("telegram_message_id", "9e999", None),
    ("channel_id", "'abc'", 0),
    ("tagging_attempts", "'x'", 0),
    ("tagging_attempts", "1.5", 0),
    ("posted_at", "'0001-01-01T00:00:00+05:00'", None),
    ("posted_at", "X'32'", None),
    ("last_tagging_attempt", "'9999-12-31T23:59:59-05:00'", None),
    ("last_tagging_attempt", "5", None),
    ("tags", "'" + "[" * 100_000 + "'", []),
    ("tags", "'" + "[" * 990 + "]" * 990 + "'", []),
    ("tags", r"""'["\ud800", "a"]'""", ["a"]),
    ("tags", r"""'["\u0000", "a"]'""", ["a"]),
    ("tags", """X'5b2261225d'""", ["a"]),
    ("tags", "5", []),
    ("tags", "'['", []),
]


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(("column", "value", "shown"), ODD_VALUES)
async def test_an_odd_row_is_shown_as_far_as_it_can_be(
    database: Database, listing: ApiQueries, column: str, value: str, shown: Any
) -> None:
    with sqlite_without_foreign_keys(database) as other:
        other.execute(f"UPDATE posts SET {column} = {value} WHERE id = 4")
    page = await listing.posts(1, limit=9)
    post = next(post for post in page.posts if post.id == 4)
    assert getattr(post, column) == shown
    alone = await listing.post(4, None)
    assert alone is not None
    assert getattr(alone, column) == shown
    to_json([page, alone])


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_odd_names_are_shown_as_far_as_they_can_be(database: Database, listing: ApiQueries) -> None:
    with sqlite_without_foreign_keys(database) as other:
        other.execute(
            "UPDATE users SET username = X'ff', first_name = CAST(X'EDA080' AS TEXT), last_name = 5,"
            " telegram_id = 'x', is_active = 'x', created_at = 'x' WHERE id = 1"
        )
        other.execute(
            "UPDATE channels SET channel_username = X'ff', channel_title = X'61', channel_id = 'x' WHERE id = 1"
        )
    users, _ = await listing.users(after=0, limit=9, only=1)
    assert users == [ListedUser(1, 0, "\ufffd", "\ufffd" * 3, "5", is_active=True, created_at=None)]
    channels = await listing.channels(1)
    assert channels == [ListedChannel(1, "\ufffd", None, "a", is_active=True, last_parsed_at=None, posts=7)]
    to_json([users, channels])
