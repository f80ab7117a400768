"""Changes of a vocabulary undone in any order: in the end each post is exactly as it was."""

from __future__ import annotations

from random import Random

import pytest
from sqlalchemy import select

from services.clock import utc_now
from services.tags.errors import TagError
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.storage.rows import add_posts, add_user

NAMES = ("мост", "река", "город", "парк")
CHANGES = 4
KINDS = ("merge", "merge", "rename", "ban")


def _nothing() -> None:
    return None


async def tags_of_posts(database: Database) -> list[list[str]]:
    async with database.read() as session:
        return [list(tags or ()) for tags in (await session.execute(select(Post.tags).order_by(Post.id))).scalars()]


async def filled(database: Database, random: Random) -> list[list[str]]:
    tags = [random.sample(NAMES, random.randint(1, len(NAMES))) for _ in range(8)]
    async with database.write() as session:
        await add_user(session, 1)
        for number, names in enumerate(tags, start=1):
            await add_posts(session, 1, 1, first=number, tags=names, tagging_status="success")
    return tags


async def change(vocabularies: Vocabularies, random: Random, ids: list[int]) -> int | None:
    """A change at random; None if it is refused."""
    one, other = random.sample(ids, 2)
    try:
        kind = random.choice(KINDS)
        if kind == "merge":
            return (await vocabularies.merge(1, one, other)).change_id
        if kind == "rename":
            return (await vocabularies.rename(1, one, f"новое имя {random.randint(1, 9)}")).change_id
        return (await vocabularies.ban(1, one, take_off=True)).change_id
    except TagError:
        return None


@pytest.mark.parametrize("seed", range(12))
async def test_all_undone_in_any_order_is_as_before(database: Database, seed: int) -> None:
    random = Random(seed)
    before = await filled(database, random)
    vocabularies = Vocabularies(database, utc_now, _nothing)
    ids = [(await vocabularies.find(1, name)).id for name in NAMES if any(name in tags for tags in before)]
    made = [each for _ in range(CHANGES) if (each := await change(vocabularies, random, ids)) is not None]
    while made:
        for each in random.sample(made, len(made)):
            try:
                await vocabularies.undo(1, each)
            except TagError:
                # The tag was changed again since: that goes first.
                continue
            made.remove(each)
    assert await tags_of_posts(database) == before
