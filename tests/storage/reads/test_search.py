"""Posts found by words, tags and channels, on both databases; the index that finds them is made beside."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy import text as sql

from services.library.bot_queries import BotQueries
from services.library.search import COMMON, Search, SearchOffError, closest
from services.library.search_index import LOOK_SECONDS, PORTION, SearchIndex
from services.library.search_words import read_query
from storage.db.engine import Database
from storage.schema.search_tables import SEARCH, SearchChange, SearchState
from tests.storage.rows import NOW, add_posts, add_user


async def index(database: Database, *, enabled: bool = True) -> int:
    """Let the index be made; returns in how many portions."""
    task, portions = SearchIndex(database, enabled=enabled), 1
    while await task.work() not in {LOOK_SECONDS, None}:
        portions += 1
    return portions


def search(database: Database, *, enabled: bool = True) -> Search:
    return Search(database, BotQueries(database, lambda: NOW), enabled=enabled)


async def found(database: Database, query: str, user_id: int = 1, page: int = 1) -> list[int]:
    shown = await search(database).find(user_id, read_query(query), page)
    return [card.id for card in shown.posts]


async def change(database: Database, *statements: str) -> None:
    """As another program does."""
    async with database.write() as session:
        for statement in statements:
            await session.execute(sql(statement))


async def fill(database: Database) -> None:
    """Posts 1–4 and 101 of user 1, post 11 of user 2."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 1, first=1, text="Новая нейросеть рисует город", tags=["ии", "живопись"])
        await add_posts(session, 1, 1, first=2, text="Нейросети и реклама", tags=["реклама"])
        await add_posts(session, 1, 1, first=3, text=None, posted_at=datetime(2025, 6, 30, 23, 59, tzinfo=UTC))
        await add_posts(session, 1, 1, first=4, text="О городах", posted_at=datetime(2025, 7, 1, tzinfo=UTC))
        await add_posts(session, 2, 1, first=11, text="Чужая нейросеть")
        await add_posts(session, 1, 1, first=101, text="Нейросеть в другом канале", channel_id=2, tags=["ии"])


@pytest.mark.parametrize(
    ("query", "posts"),
    [
        ("нейросетью", [101, 2, 1]),
        ("нейросеть город", [1]),
        ("нейросеть -реклама", [101, 1]),
        ("#ии", [101, 1]),
        ("#ИИ город", [1]),
        ("-#ии", [2, 4, 3]),
        ("нейросеть @channel2", [101]),
        ("нейросеть @Channel1", [2, 1]),
        ("нейросеть @channel1 @channel2", [101, 2, 1]),
        ("нейросеть -@channel2", [2, 1]),
        ("нейросеть -@nowhere", [101, 2, 1]),
        ("@nowhere", []),
        ("since:2025-07", [101, 2, 1, 4]),
        ("город since:2026", [1]),
        ("since:2025-06-30", [101, 2, 1, 4, 3]),
        ("чужая", []),
        ("слонами", []),
        ("' \" ) OR ( * NEAR", []),
    ],
)
async def test_posts_are_found_the_newest_first(database: Database, query: str, posts: list[int]) -> None:
    """The person's own, by any mix."""
    await fill(database)
    await index(database)
    assert await found(database, query) == posts


async def test_whatever_any_program_changes_is_found_anew(database: Database) -> None:
    """A new post, an edited text, tags, another channel; and a deleted post no more."""
    await fill(database)
    await index(database)
    await change(
        database,
        "INSERT INTO posts (id, user_id, channel_id, telegram_message_id, text, posted_at)"
        " VALUES (300, 1, 1, 300, 'Трамвай', '2026-01-01 00:00:00'),"
        " (301, 1, 1, 301, 'Трамвай', '2026-01-02 00:00:00')",
        "UPDATE posts SET text = 'Троллейбус' WHERE id = 1",
        "UPDATE posts SET tags = '[\"автобус\"]' WHERE id = 2",
        "UPDATE posts SET channel_id = 1 WHERE id = 101",
        "UPDATE posts SET views = 5 WHERE id = 4",
        "DELETE FROM posts WHERE id = 11",
    )
    async with database.read() as session:
        noted = sorted((await session.execute(select(SearchChange.post_id))).scalars())
    assert noted == [1, 2, 11, 101, 300, 301]
    await index(database)
    for query, posts in {
        "трамваи": [301, 300],
        "троллейбус": [1],
        "рисует": [],
        "#автобус": [2],
        "#реклама": [],
        "реклама": [2],
        "нейросеть @channel1": [101, 2],
        "нейросеть @channel2": [],
    }.items():
        assert await found(database, query) == posts, query
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SearchChange)) == 0
        assert await session.scalar(select(func.count()).select_from(SEARCH)) == 7


async def test_the_index_of_an_archive_is_made_in_portions_and_goes_on(database: Database) -> None:
    """The newest posts first; a list says that it is not whole yet. Posts that come meanwhile are found, too."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 2 * PORTION + 1)
    for _ in range(2):
        await SearchIndex(database, enabled=True).work()
    shown = await search(database).find(1, read_query("пост"), 1)
    assert (shown.is_partial, shown.has_more) == (True, True)
    assert await found(database, f"{PORTION + 2}") == [PORTION + 2]
    assert await found(database, "1") == []
    async with database.write() as session:
        await add_posts(session, 1, 1, first=1000)
    await index(database)
    assert await found(database, "1") == [1]
    assert await found(database, "1000") == [1000]
    assert not (await search(database).find(1, read_query("пост"), 1)).is_partial


async def test_pages_follow_each_other(database: Database) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 25)
    await index(database)
    assert await found(database, "посты") == list(range(25, 15, -1))
    assert await found(database, "посты", page=3) == list(range(5, 0, -1))
    shown = await search(database).latest(1, 2)
    assert ([card.id for card in shown.posts], shown.has_more) == (list(range(15, 5, -1)), True)


async def test_switched_off_the_index_goes_and_costs_nothing(database: Database) -> None:
    """Nothing is noted any more. Switched on again it is made anew."""
    await fill(database)
    await index(database)
    await index(database, enabled=False)
    await change(database, "UPDATE posts SET text = 'Троллейбус' WHERE id = 1")
    async with database.read() as session:
        for table in (SEARCH, SearchChange, SearchState):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
    with pytest.raises(SearchOffError):
        await search(database, enabled=False).find(1, read_query("город"), 1)
    with pytest.raises(SearchOffError):
        await search(database, enabled=False).related(1, 1)
    await index(database)
    assert await found(database, "троллейбусы") == [1]


async def test_a_reused_id_does_not_bring_up_the_post_that_had_it(database: Database) -> None:
    """Before the index has caught up, too: another person's post is never shown."""
    await fill(database)
    await index(database)
    await change(
        database,
        "DELETE FROM posts WHERE id = 1",
        "INSERT INTO posts (id, user_id, channel_id, telegram_message_id, text, posted_at)"
        " VALUES (1, 2, 1, 1, 'Секрет', '2026-01-01 00:00:00')",
    )
    assert await found(database, "рисует") == []
    await index(database)
    assert await found(database, "секрет") == []
    assert await found(database, "секрет", user_id=2) == [1]


async def test_related_posts_share_rare_tags(database: Database) -> None:
    """The more and the rarer the tags in common, the nearer; never another person's post."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        tags = {1: ["редкий", "частый"], 2: ["частый"], 3: ["Редкий"], 4: ["другой"], 5: ["частый"], 6: ["частый"]}
        for number, its in tags.items():
            await add_posts(session, 1, 1, first=number, tags=its)
        await add_posts(session, 2, 1, first=11, tags=["редкий"])
    await index(database)
    shown = await search(database).related(1, 1)
    assert shown is not None
    assert [card.id for card in shown.posts] == [3, 6, 5, 2]
    assert await search(database).related(1, 2) is None
    assert await search(database).related(777, None) is None


def test_a_tag_of_very_many_posts_relates_none() -> None:
    assert closest(1, [range(COMMON), [1, 5]]) == [5]


async def test_odd_values_of_other_programs_do_not_stop_the_index(database: Database) -> None:
    """A text that is no text (SQLite), tags that are no list, a text of many megabytes."""
    await fill(database)
    await change(database, "UPDATE posts SET text = NULL, tags = '{\"a\": 1}' WHERE id = 1")
    if database.is_sqlite:
        await change(database, "UPDATE posts SET text = x'ff00d0b3', tags = 'nonsense' WHERE id = 2")
        await change(database, "UPDATE posts SET text = 12345 WHERE id = 4")
    async with database.write() as session:
        await add_posts(session, 1, 1, first=500, text="слово " * 1_000_000)
    await index(database)
    assert await found(database, "слова") == [500]
