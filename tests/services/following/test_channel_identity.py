"""One channel is stored once, however its sources know it: by a name, by another one, by its number."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from services.ingest.store import store
from services.sources.base import Delivery, SourceChannel, SourcePost
from storage.db.engine import Database
from storage.schema.source_tables import SourceRow
from storage.schema.tables import Channel
from tests.services.following.channel_world import FIRST, NOW, SECOND, World

NUMBER = -1001234567890


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await made.begin()
    return made


async def imported(world: World, numbers: range, title: str = "All news") -> None:
    """An export knows the channel's number, and no name."""
    posts = [SourcePost(n, f"news {n}", NOW + timedelta(minutes=n), as_of=NOW) for n in numbers]
    async with world.database.write() as session:
        await store(session, world.users[FIRST], Delivery(SourceChannel(NUMBER, None, title), posts, 0), world.now)


async def names(world: World) -> list[tuple[str, int | None]]:
    query = select(Channel.channel_username, Channel.channel_id).order_by(Channel.id)
    async with world.database.read() as session:
        return [(name, number) for name, number in await session.execute(query)]


async def sources(world: World) -> list[str]:
    async with world.database.read() as session:
        return list((await session.execute(select(SourceRow.name))).scalars())


async def test_an_export_of_a_channel_that_is_followed_stores_nothing_twice(world: World) -> None:
    world.shelf.fill("news", range(1, 11))
    await world.add(FIRST, "news")
    await world.settle()
    await imported(world, range(5, 15))
    assert sorted(await world.posts(FIRST)) == list(range(1, 15))
    assert await names(world) == [("news", NUMBER)]


async def test_a_channel_of_an_export_is_recognised_when_it_is_added(world: World) -> None:
    await imported(world, range(1, 11))
    world.shelf.fill("news", range(1, 13))
    await world.add(FIRST, "news")
    await world.settle()
    assert sorted(await world.posts(FIRST)) == list(range(1, 13))
    assert await names(world) == [("news", NUMBER)]
    assert [told["text"] for told in await world.told(FIRST)] == ["added"]
    world.shelf.fill("news", range(13, 14))
    await world.later(hours=7)
    assert await world.count(FIRST) == 13


async def test_another_channel_of_the_same_title_is_another(world: World) -> None:
    await imported(world, range(1, 11))
    world.shelf.titles["more"] = "All news"
    world.shelf.fill("more", range(1, 5))
    world.now += timedelta(minutes=1)
    async with world.database.write() as session:
        channel = (await session.execute(select(Channel))).scalar_one()
        channel.channel_title = "All news"
    world.shelf.texts["more"] = {number + 5: text for number, text in world.shelf.texts["more"].items()}
    world.shelf.delay = timedelta(seconds=30)
    await world.add(FIRST, "more")
    await world.settle()
    assert len(await names(world)) == 2
    assert await world.count(FIRST) == 14


async def test_the_old_name_of_a_channel_leads_to_the_one_that_is_followed(world: World) -> None:
    world.shelf.fill("old", range(1, 11))
    await world.add(FIRST, "old")
    await world.settle()
    world.shelf.renamed["old"] = "new"
    world.shelf.fill("new", range(1, 11))
    await world.later(hours=7)
    await world.told(FIRST)
    await world.add(FIRST, "old")
    await world.add(SECOND, "old")
    await world.later(hours=7)
    assert await world.count(FIRST) == await world.count(SECOND) == 10
    assert await sources(world) == ["new"]
    assert "renamed" in [told["text"] for told in await world.told(SECOND)]


async def test_the_new_name_of_a_channel_leads_to_it_before_the_bot_has_seen_that(world: World) -> None:
    world.shelf.fill("old", range(1, 11))
    channel = await world.add(FIRST, "old")
    await world.settle()
    world.shelf.titles["new"] = "All old"
    world.shelf.texts["new"] = world.shelf.texts["old"]
    await world.add(FIRST, "new")
    await world.later(hours=7)
    assert await world.count(FIRST) == 10
    assert (await names(world), await sources(world)) == ([("new", None)], ["new"])
    card = await world.channels.card(world.users[FIRST], channel)
    assert card is not None
    assert card.username == "new"
