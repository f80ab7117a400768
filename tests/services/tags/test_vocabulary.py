"""A person's vocabulary: looked at, renamed, merged, banned, and every change undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from services.clock import utc_now
from services.tags.errors import TagError, TagProblem
from services.tags.post_tags import PostTags
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database
from storage.schema.tables import Post
from storage.schema.tag_tables import TagRow
from tests.storage.rows import add_posts, add_user

Tags = list[list[str]]
OLD: Tags = [
    ["нейросеть", "россия"],
    ["россия", "нейросети"],
    ["ии", "нейронные сети"],
    ["ии", "нейросеть"],
    ["погода"],
]


@pytest.fixture
async def vocabularies(database: Database) -> Vocabularies:
    async with database.write() as session:
        for user_id in (1, 2):
            await add_user(session, user_id)
        for number, tags in enumerate(OLD, start=1):
            await add_posts(session, 1, 1, first=number, tags=tags, tagging_status="success")
        await add_posts(session, 2, 1, first=100, tags=["нейросеть"], tagging_status="success")
    return Vocabularies(database, utc_now, lambda: None)


async def posts(database: Database, user_id: int = 1) -> Tags:
    async with database.read() as session:
        rows = await session.execute(select(Post.tags).where(Post.user_id == user_id).order_by(Post.id))
        return [list(tags or ()) for tags in rows.scalars()]


async def more(database: Database, *tags: list[str]) -> None:
    """Newer posts, as the worker stores them."""
    async with database.write() as session:
        first = max((await session.execute(select(Post.id))).scalars()) + 1
        for number, each in enumerate(tags, start=first):
            await add_posts(session, 1, 1, first=number, tags=each, tagging_status="success")


async def shown(vocabularies: Vocabularies, search: str = "") -> list[tuple[str, int]]:
    return [(tag.name, tag.uses) for tag in (await vocabularies.tags(1, search)).tags]


async def test_tags_of_any_origin_are_listed_with_their_posts(vocabularies: Vocabularies) -> None:
    """Spellings count as one tag; the most used come first; a search finds parts of names."""
    assert await shown(vocabularies) == [
        ("нейросеть", 3),
        ("ии", 2),
        ("россия", 2),
        ("нейронные сети", 1),
        ("погода", 1),
    ]
    assert await shown(vocabularies, "#Нейро") == [("нейросеть", 3), ("нейронные сети", 1)]
    page = await vocabularies.tags(1, offset=1, limit=2)
    assert ([tag.name for tag in page.tags], page.total) == (["ии", "россия"], 5)


async def test_a_tags_newest_posts(vocabularies: Vocabularies) -> None:
    tag = await vocabularies.find(1, "нейросетей")
    assert [post.id for post in await vocabularies.newest_posts(1, tag.id, limit=2)] == [4, 2]


async def test_a_merge_rewrites_posts_and_undo_restores_them(database: Database, vocabularies: Vocabularies) -> None:
    """Each post's tags come back exactly, also of posts that came later, or were changed since."""
    tag, into = await vocabularies.find(1, "нейросеть"), await vocabularies.find(1, "ии")
    made = await vocabularies.merge(1, tag.id, into.id)
    assert (made.tag.name, made.tag.uses) == ("ии", 4)
    merged: Tags = [["ии", "россия"], ["россия", "ии"], ["ии", "нейронные сети"], ["ии"], ["погода"]]
    assert await posts(database) == merged
    assert await posts(database, 2) == [["нейросеть"]]
    assert (await vocabularies.find(1, "нейросетью")).id == into.id
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 2).values(tags=["москва", "ии", "россия"]))
    await vocabularies.undo(1, tag_id=tag.id)
    assert await posts(database) == [OLD[0], ["москва", "нейросети", "россия"], *OLD[2:]]
    assert (await vocabularies.find(1, "нейросетью")).id == tag.id
    assert ("ии", 2) in await shown(vocabularies)


async def test_a_tag_that_left_a_chain_is_not_drawn_back(vocabularies: Vocabularies) -> None:
    """The first merge is undone before the second; the alias of a rename that was undone, too, is gone."""
    first, second = await vocabularies.find(1, "россия"), await vocabularies.find(1, "нейросеть")
    renamed = await vocabularies.rename(1, first.id, "рф")
    one = await vocabularies.merge(1, first.id, second.id)
    two = await vocabularies.merge(1, second.id, "погода")
    for change in (one, renamed, two):
        await vocabularies.undo(1, change.change_id)
    assert [(await vocabularies.find(1, tag.name)).id for tag in (first, second)] == [first.id, second.id]


async def test_chains_of_merges_are_flat_and_undone_in_any_order(
    database: Database, vocabularies: Vocabularies
) -> None:
    first = await vocabularies.find(1, "нейронные сети")
    second = await vocabularies.find(1, "нейросеть")
    one = await vocabularies.merge(1, first.id, "нейросети")
    two = await vocabularies.merge(1, second.id, "ИИ")
    assert await posts(database) == [["ии", "россия"], ["россия", "ии"], ["ии"], ["ии"], ["погода"]]
    assert (await vocabularies.find(1, "нейронных сетей")).name == "ии"
    await vocabularies.undo(1, one.change_id)
    assert (await vocabularies.find(1, "нейронных сетей")).id == first.id
    assert (await posts(database))[2] == ["ии", "нейронные сети"]
    await vocabularies.undo(1, two.change_id)
    assert await posts(database) == OLD


async def test_a_rename_holds_for_posts_and_spellings(database: Database, vocabularies: Vocabularies) -> None:
    """The former spelling stands for the new name; Undo gives posts their spellings back, newer ones the old name."""
    tag = await vocabularies.find(1, "ии")
    made = await vocabularies.rename(1, tag.id, " #Искусственный  интеллект")
    assert (made.tag.id, made.tag.name, made.tag.uses) == (tag.id, "Искусственный интеллект", 2)
    assert (await posts(database))[2:4] == [
        ["Искусственный интеллект", "нейронные сети"],
        ["Искусственный интеллект", "нейросеть"],
    ]
    assert (await vocabularies.find(1, "ИИ")).id == (await vocabularies.find(1, "искусственного интеллекта")).id
    await more(database, ["Искусственный интеллект", "космос"])
    await vocabularies.undo(1, made.change_id)
    assert await posts(database) == [*OLD, ["ии", "космос"]]
    assert (await vocabularies.find(1, "ии")).uses == 3


async def test_a_ban_takes_a_tag_off_if_wanted(database: Database, vocabularies: Vocabularies) -> None:
    tag = await vocabularies.find(1, "россия")
    kept = await vocabularies.ban(1, tag.id)
    assert await posts(database) == OLD
    assert kept.tag.state == "banned"
    await vocabularies.undo(1, kept.change_id)
    made = await vocabularies.ban(1, tag.id, take_off=True)
    assert (await posts(database))[:2] == [["нейросеть"], ["нейросети"]]
    assert (await vocabularies.undo(1, made.change_id)).tag.state == "offered"
    assert await posts(database) == OLD


async def test_many_posts_are_rewritten_in_portions(database: Database, vocabularies: Vocabularies) -> None:
    """What a call leaves over the background task does."""
    from services.tags.changes import TagRewriting

    async with database.write() as session:
        rows = [
            {
                "id": number,
                "user_id": 1,
                "channel_id": 1,
                "telegram_message_id": number,
                "posted_at": utc_now(),
                "tags": ["музей", str(number)],
                "tagging_status": "success",
            }
            for number in range(1001, 2001)
        ]
        await session.execute(insert(Post), rows)
    tag = await vocabularies.find(1, "музей")
    made = await vocabularies.merge(1, tag.id, "музеи и выставки")
    rewriting = TagRewriting(database)
    await rewriting.work()
    assert [tags for tags in await posts(database) if "музей" in tags] == []
    await vocabularies.undo(1, made.change_id)
    await rewriting.work()
    assert len([tags for tags in await posts(database) if "музей" in tags]) == 1000


BadChange = Callable[[Vocabularies, int, int], Awaitable[Any]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda all_, mine, _: all_.rename(1, mine, "x" * 65), TagProblem.TOO_LONG),
        (lambda all_, mine, _: all_.rename(1, mine, " # "), TagProblem.EMPTY),
        (lambda all_, mine, _: all_.rename(1, mine, "россии"), TagProblem.TAKEN),
        (lambda all_, mine, _: all_.merge(1, mine, mine), TagProblem.ITSELF),
        (lambda all_, mine, _: all_.merge(1, mine, "нейросетями"), TagProblem.ITSELF),
        (lambda all_, mine, _: all_.merge(1, mine, "x" * 200), TagProblem.TOO_LONG),
        (lambda all_, mine, theirs: all_.merge(1, mine, theirs), TagProblem.NOT_FOUND),
        (lambda all_, _, theirs: all_.rename(1, theirs, "моё"), TagProblem.NOT_FOUND),
        (lambda all_, _, theirs: all_.ban(1, theirs), TagProblem.NOT_FOUND),
        (lambda all_, _, theirs: all_.tag(1, theirs), TagProblem.NOT_FOUND),
        (lambda all_, _, theirs: all_.newest_posts(1, theirs), TagProblem.NOT_FOUND),
        (lambda all_, mine, _: all_.undo(1, tag_id=mine), TagProblem.NOTHING_TO_UNDO),
        (lambda all_, _, __: all_.undo(1, 12345), TagProblem.NOTHING_TO_UNDO),
    ],
)
async def test_bad_changes_are_refused(vocabularies: Vocabularies, change: BadChange, problem: TagProblem) -> None:
    """In one clear way, and nothing is changed."""
    before = await shown(vocabularies)
    theirs = (await vocabularies.tags(2)).tags[0].id
    with pytest.raises(TagError) as raised:
        await change(vocabularies, (await vocabularies.find(1, "нейросеть")).id, theirs)
    assert raised.value.problem is problem
    assert await shown(vocabularies) == before


async def test_the_last_change_is_undone_first(vocabularies: Vocabularies) -> None:
    tag = await vocabularies.find(1, "ии")
    first = await vocabularies.rename(1, tag.id, "интеллект")
    second = await vocabularies.rename(1, tag.id, "разум")
    with pytest.raises(TagError, match="undo that first"):
        await vocabularies.undo(1, first.change_id)
    await vocabularies.undo(1, second.change_id)
    assert (await vocabularies.undo(1, first.change_id)).tag.name == "ии"


async def test_a_deleted_user_takes_everything_along(database: Database, vocabularies: Vocabularies) -> None:
    """As the parser deletes users: no reference of ours is in its way."""
    tag = await vocabularies.find(1, "ии")
    await vocabularies.merge(1, tag.id, "разум")
    await PostTags(database, utc_now).set(1, 5, ["снег"])
    async with database.write() as session:
        connection = await session.connection()
        for statement in ("DELETE FROM posts WHERE user_id = 1", "DELETE FROM users WHERE id = 1"):
            await connection.exec_driver_sql(statement)
    async with database.read() as session:
        assert set((await session.execute(select(TagRow.user_id))).scalars()) <= {2}


async def test_tags_by_hand_are_the_users_own_spellings(database: Database, vocabularies: Vocabularies) -> None:
    await vocabularies.tags(1)
    by_hand = PostTags(database, utc_now)
    assert await by_hand.set(1, 5, ["#Нейросети", "снег", "погода"]) == ("нейросеть", "снег", "погода")
    assert await by_hand.add(1, 5, ["ии"]) == ("нейросеть", "снег", "погода", "ии")
    assert await by_hand.take_off(1, 5, "нейросетей") == ("снег", "погода", "ии")
    assert (await posts(database))[4] == ["снег", "погода", "ии"]
    assert (await vocabularies.find(1, "снег")).origin == "person"
    await vocabularies.ban(1, (await vocabularies.find(1, "россия")).id)
    for user_id, post_id, tags, problem in (
        (2, 5, ["x1"], TagProblem.NO_POST),
        (1, 999, ["x1"], TagProblem.NO_POST),
        (1, 5, ["россии"], TagProblem.BANNED),
        (1, 5, ["y" * 65], TagProblem.TOO_LONG),
        (1, 5, [f"tag {number}" for number in range(31)], TagProblem.TOO_MANY),
    ):
        with pytest.raises(TagError) as raised:
            await by_hand.set(user_id, post_id, tags)
        assert raised.value.problem is problem
    assert (await posts(database))[4] == ["снег", "погода", "ии"]
