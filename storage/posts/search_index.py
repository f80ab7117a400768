"""The search index as it is written: in portions, beside everything else."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, any_, bindparam, delete, insert, literal, select, update
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Integer

from storage.schema.search_tables import SEARCH, SearchChange, SearchState
from storage.schema.tables import Post
from storage.schema.types import as_text

#: The largest id there can be (the parser's are of PostgreSQL's `integer`): nothing is indexed yet.
BEGINNING = 2**31 - 1


@dataclass(frozen=True, slots=True)
class IndexedPost:
    id: int
    user_id: int
    channel_id: int
    text: str
    tags: tuple[str, ...]


async def indexed_from(session: AsyncSession) -> int | None:
    """The lowest id from which on posts are indexed; None if the index is off."""
    return (await session.execute(select(SearchState.indexed_from))).scalar_one_or_none()


async def switch_on(session: AsyncSession) -> None:
    await session.execute(insert(SearchState).values(id=1, indexed_from=BEGINNING))


async def switch_off(session: AsyncSession) -> None:
    """Empty the index, and let the triggers note nothing more."""
    await session.execute(delete(SearchState))
    await session.execute(delete(SearchChange))
    await session.execute(delete(SEARCH))


async def changes(session: AsyncSession, limit: int) -> Mapping[int, int]:
    """The oldest noted changes: their ids, each with its post's."""
    query = select(SearchChange.id, SearchChange.post_id).order_by(SearchChange.id).limit(limit)
    return {row.id: row.post_id for row in await session.execute(query)}


async def forget_changes(session: AsyncSession, change_ids: Collection[int]) -> None:
    await session.execute(delete(SearchChange).where(SearchChange.id.in_(change_ids)))


async def posts(session: AsyncSession, post_ids: Collection[int]) -> list[IndexedPost]:
    return [_post(row) for row in await session.execute(_posts().where(Post.id.in_(post_ids)))]


async def posts_below(session: AsyncSession, post_id: int, limit: int) -> list[IndexedPost]:
    """The posts next below this id, the highest first."""
    query = _posts().where(Post.id < post_id).order_by(Post.id.desc()).limit(limit)
    return [_post(row) for row in await session.execute(query)]


async def move_on(session: AsyncSession, indexed_from: int) -> None:
    await session.execute(update(SearchState).values(indexed_from=indexed_from))


async def complete(session: AsyncSession) -> None:
    """Give PostgreSQL the statistics at once by which it chooses between two plans: one may take a second."""
    if session.get_bind().dialect.name != "sqlite":
        await session.execute(sql("ANALYZE metka_search"))


async def put(session: AsyncSession, words: Mapping[int, Sequence[int]]) -> None:
    """Set the words of posts, by id."""
    if not words:
        return
    await remove(session, words)
    if session.get_bind().dialect.name == "sqlite":
        # In ascending order the pages get full: half as many.
        rows = [{"id": post_id, "words": " ".join(map(spelt, words[post_id]))} for post_id in sorted(words)]
        await session.execute(sql("INSERT INTO metka_search (rowid, words) VALUES (:id, :words)"), rows)
    else:
        values = [{"post_id": post_id, "words": list(numbers)} for post_id, numbers in words.items()]
        await session.execute(insert(SEARCH), values)


async def remove(session: AsyncSession, post_ids: Collection[int]) -> None:
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(
            sql("DELETE FROM metka_search WHERE rowid IN :ids").bindparams(bindparam("ids", expanding=True)),
            {"ids": list(post_ids)},
        )
    else:
        ids = literal(list(post_ids), ARRAY(Integer))
        await session.execute(delete(SEARCH).where(SEARCH.c.post_id == any_(ids)))


def spelt(word: int) -> str:
    """A word as SQLite's index has it."""
    return f"{word & 0xFFFFFFFF:x}"


def _posts() -> Select[*tuple[Any, ...]]:
    return select(Post.id, Post.user_id, Post.channel_id, Post.text, Post.tags)


def _post(row: Row[Any]) -> IndexedPost:
    return IndexedPost(row.id, row.user_id, row.channel_id, as_text(row.text) or "", tuple(row.tags))
