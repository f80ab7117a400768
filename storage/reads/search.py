"""Posts found by the words of the search index."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, false, func, literal, literal_column, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Integer

from storage.posts.search_index import spelt
from storage.schema.search_tables import SEARCH
from storage.schema.tables import Channel, Post


@dataclass(frozen=True, slots=True)
class Wanted:
    """The numbers of words: all of `all_of`, one of `one_of` unless that is None, none of `none_of`."""

    all_of: Collection[int]
    one_of: Collection[int] | None = None
    none_of: Collection[int] = ()
    since: date | None = None


async def channel_ids(session: AsyncSession, usernames: Collection[str]) -> list[int]:
    """Channels of these public names, in lower case."""
    names = {name for each in usernames for name in (each, f"@{each}")}
    query = select(Channel.id).where(func.lower(Channel.channel_username).in_(names))
    return list((await session.execute(query)).scalars())


async def newest(session: AsyncSession, user_id: int, wanted: Wanted | None, limit: int, offset: int) -> Sequence[int]:
    """The ids of a user's posts (None: of all of them), the newest first."""
    conditions = [] if wanted is None else matches(session, wanted)
    query = (
        select(Post.id)
        .where(Post.user_id == user_id, *conditions)
        .order_by(Post.posted_at.desc(), Post.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return (await session.execute(query)).scalars().all()


def matches(session: AsyncSession, wanted: Wanted) -> list[ColumnElement[bool]]:
    """Conditions for posts. `all_of` must hold the user's number: it is what keeps a search in their own posts."""
    since = [] if wanted.since is None else [_is_since(wanted.since, session.get_bind().dialect.name)]
    if wanted.one_of is not None and not wanted.one_of:
        return [false()]
    if session.get_bind().dialect.name == "sqlite":
        return [*since, _on_sqlite(wanted)]
    return [*since, _on_postgresql(wanted)]


def _on_sqlite(wanted: Wanted) -> ColumnElement[bool]:
    """The plus keeps SQLite on the index of the user's posts, which is in order: found posts need not be sorted."""
    groups = [f"({' AND '.join(map(spelt, wanted.all_of))})"]
    if wanted.one_of is not None:
        groups.append(f"({' OR '.join(map(spelt, wanted.one_of))})")
    match = f"({' AND '.join(groups)})"
    if wanted.none_of:
        match += f" NOT ({' OR '.join(map(spelt, wanted.none_of))})"
    found: Select[tuple[int]] = select(literal_column("rowid")).select_from(sql("metka_search"))
    return literal_column("+posts.id", Integer).in_(
        found.where(sql("metka_search MATCH :match").bindparams(match=match))
    )


def _on_postgresql(wanted: Wanted) -> ColumnElement[bool]:
    words = SEARCH.c.words
    conditions: list[Any] = [words.contains(_array(wanted.all_of))]
    if wanted.one_of is not None:
        conditions.append(words.overlap(_array(wanted.one_of)))
    if wanted.none_of:
        conditions.append(~words.overlap(_array(wanted.none_of)))
    return Post.id.in_(select(SEARCH.c.post_id).where(and_(*conditions)))


def _array(numbers: Collection[int]) -> Any:
    return literal(list(numbers), ARRAY(Integer))


def _is_since(day: date, dialect: str) -> ColumnElement[bool]:
    # SQLite's times are texts, which all begin with the date.
    return Post.posted_at >= (literal(day.isoformat(), String) if dialect == "sqlite" else literal(day))
