"""Tagged posts that have the text of another post."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from sqlalchemy import Table, func, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import REUSABLE
from storage.schema.tables import Post

_POSTS = cast("Table", Post.__table__)
#: Of so many posts with the same text, the newest, at least one has tags that can be used.
MOST_ALIKE = 5


async def tagged_alike(session: AsyncSession, keys: Collection[int]) -> list[tuple[int, str, tuple[str, ...]]]:
    """Posts with one of these text keys that say they have their tags, the newest of each key last: (key, text, tags).

    Several of each: one whose tags another program took away, or whose text was edited since, must not hide the others.
    """
    columns = _POSTS.c
    place = func.row_number().over(partition_by=columns.text_key, order_by=columns.id.desc()).label("place")
    placed = select(columns.id, place).where(columns.text_key.in_(keys), sql(REUSABLE)).subquery()
    newest = select(placed.c.id).where(placed.c.place <= MOST_ALIKE)
    query = select(columns.text_key, columns.text, columns.tags).where(columns.id.in_(newest)).order_by(columns.id)
    return [(row.text_key, row.text or "", tuple(row.tags)) for row in await session.execute(query)]
