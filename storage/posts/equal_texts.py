"""Tagged posts that have the text of another post."""

from collections.abc import Collection
from typing import NamedTuple, cast

from sqlalchemy import Table, bindparam, func, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema.index_conditions import REUSABLE
from storage.schema.tables import Post

_POSTS = cast("Table", Post.__table__).c
#: Posts of equal text that are tried.
MOST_ALIKE = 5

_PLACED = (
    select(_POSTS.id, func.row_number().over(partition_by=_POSTS.text_key, order_by=_POSTS.id.desc()).label("place"))
    .where(_POSTS.text_key.in_(bindparam("keys", expanding=True)), sql(REUSABLE))
    .subquery()
)
_TAGGED_ALIKE = (
    select(_POSTS.id, _POSTS.user_id, _POSTS.text_key, _POSTS.text, _POSTS.tags)
    .where(_POSTS.id.in_(select(_PLACED.c.id).where(_PLACED.c.place <= MOST_ALIKE)))
    .order_by(_POSTS.id)
)


class TaggedText(NamedTuple):
    post_id: int
    user_id: int
    key: int
    text: str
    tags: tuple[str, ...]


async def tagged_alike(session: AsyncSession, keys: Collection[int]) -> list[TaggedText]:
    """The newest tagged posts with these text keys, MOST_ALIKE of each, oldest first.

    The newest alone is not enough: another program may have removed its tags, or its text was edited since.
    """
    rows = await session.execute(_TAGGED_ALIKE, {"keys": list(keys)})
    return [TaggedText(row.id, row.user_id, row.text_key, row.text or "", tuple(row.tags)) for row in rows]
