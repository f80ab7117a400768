"""The tags of users' vocabularies: looked up by key, added, offered."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Integer, Table, bindparam, case, func, select, update
from sqlalchemy import cast as sql_cast
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.index_conditions import TAGS_OFFERED
from storage.schema.tag_tables import TagRow, TagStem

_TAGS = cast("Table", TagRow.__table__)
_STEMS = cast("Table", TagStem.__table__)
#: A statement's parameters are limited (SQLite 32,766), and long lists are slow to plan.
CHUNK = 500
#: A stem that more tags of a user have says little, and costs much.
COMMON_STEM = 300


@dataclass(frozen=True, slots=True)
class KnownTag:
    id: int
    key: str
    name: str
    is_banned: bool
    merged_into: int | None


@dataclass(frozen=True, slots=True)
class NewTag:
    user_id: int
    key: str
    name: str
    stems: frozenset[str]
    origin: str = "model"


#: (users.id, key) → the tag.
Known = dict[tuple[int, str], KnownTag]
_COLUMNS = (TagRow.id, TagRow.user_id, TagRow.key, TagRow.name, TagRow.state, TagRow.merged_into)


async def known_tags(session: AsyncSession, keys: Mapping[int, Collection[str]]) -> tuple[Known, dict[int, KnownTag]]:
    """The tags of these users with these keys, and the tags that aliases among them lead to, by id."""
    found: Known = {}
    wanted = sorted({key for each in keys.values() for key in each})
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        rows = await session.execute(select(*_COLUMNS).where(TagRow.user_id.in_(sorted(keys)), TagRow.key.in_(some)))
        found |= {(row.user_id, row.key): _known(row) for row in rows if row.key in keys[row.user_id]}
    targets = sorted({tag.merged_into for tag in found.values() if tag.merged_into is not None})
    if not targets:
        return found, {}
    rows = await session.execute(select(*_COLUMNS).where(TagRow.id.in_(targets)))
    return found, {row.id: _known(row) for row in rows}


async def add_tags(session: AsyncSession, tags: Iterable[NewTag]) -> None:
    """Add tags; those that another process has added meanwhile stay as they are."""
    # In one order everywhere: transactions that add the same tags wait for each other, and do not deadlock.
    rows = sorted(tags, key=lambda tag: (tag.user_id, tag.key))
    for start in range(0, len(rows), CHUNK):
        await _add(session, rows[start : start + CHUNK])


async def _add(session: AsyncSession, tags: Sequence[NewTag]) -> None:
    values = [
        {
            "user_id": tag.user_id,
            "key": tag.key,
            "name": tag.name,
            "origin": tag.origin,
            "stem_count": len(tag.stems),
        }
        for tag in tags
    ]
    statement = upsert(session, TagRow).values(values).on_conflict_do_nothing(index_elements=["user_id", "key"])
    added = (await session.execute(statement.returning(TagRow.id, TagRow.user_id, TagRow.key))).all()
    stems = {(tag.user_id, tag.key): tag.stems for tag in tags}
    await _add_stems(session, [(row.user_id, row.id, stem) for row in added for stem in stems[row.user_id, row.key]])


async def _add_stems(session: AsyncSession, rows: Sequence[tuple[int, int, str]]) -> None:
    if rows:
        values = [{"user_id": user_id, "tag_id": tag_id, "stem": stem} for user_id, tag_id, stem in rows]
        await session.execute(_STEMS.insert(), values)


async def rename(session: AsyncSession, tag: TagRow, name: str, stems: frozenset[str]) -> None:
    tag.name, tag.stem_count = name, len(stems)
    await session.execute(_STEMS.delete().where(_STEMS.c.tag_id == tag.id))
    await _add_stems(session, [(tag.user_id, tag.id, stem) for stem in sorted(stems)])


async def exchange_keys(session: AsyncSession, tag: TagRow, other: TagRow) -> None:
    """Exchange the keys of two tags, and the uses counted under them."""
    keys, uses = (other.key, tag.key), (other.uses, tag.uses)
    # No key has a space: both rows may not have one key for a moment.
    tag.key = f"{tag.key} "
    await session.flush()
    other.key, other.uses = keys[1], uses[1]
    await session.flush()
    tag.key, tag.uses = keys[0], uses[0]
    await session.flush()


async def most_used(session: AsyncSession, user_id: int, most: int) -> list[str]:
    """The names of the tags that most of the user's posts have."""
    query = select(TagRow.name).where(TagRow.user_id == user_id, sql(TAGS_OFFERED))
    return list((await session.execute(query.order_by(TagRow.uses.desc()).limit(most))).scalars())


async def nearest(session: AsyncSession, user_id: int, stems: Collection[str], most: int) -> list[str]:
    """The names of the tags that share most of their stems with these, the most used first among equals."""
    if not stems:
        return []
    rare = (
        select(TagStem.stem)
        .where(TagStem.user_id == user_id, TagStem.stem.in_(sorted(stems)))
        .group_by(TagStem.stem)
        .having(func.count() <= COMMON_STEM)
    )
    shared = (
        select(TagStem.tag_id, func.count().label("stems"))
        .where(TagStem.user_id == user_id, TagStem.stem.in_(rare))
        .group_by(TagStem.tag_id)
        .subquery()
    )
    # Of a hundred, to order by whole numbers on both databases.
    share = sql_cast(shared.c.stems * 100 / func.nullif(TagRow.stem_count, 0), Integer)
    query = (
        select(TagRow.name)
        .join(shared, shared.c.tag_id == TagRow.id)
        .where(sql(TAGS_OFFERED))
        .order_by(share.desc(), shared.c.stems.desc(), TagRow.uses.desc(), TagRow.id)
        .limit(most)
    )
    return list((await session.execute(query)).scalars())


async def count_uses(session: AsyncSession, user_id: int, changes: Mapping[str, int], now: datetime) -> None:
    """Add to the uses of the user's tags: key → how many posts more."""
    rows = [{"counted_key": key, "more": more} for key, more in sorted(changes.items()) if more]
    uses = _TAGS.c.uses + bindparam("more", type_=Integer)
    statement = (
        update(_TAGS)
        .where(_TAGS.c.user_id == user_id, _TAGS.c.key == bindparam("counted_key"))
        .values(uses=case((uses > 0, uses), else_=0), last_use=now)
    )
    if rows:
        await (await session.connection()).execute(statement, rows)


async def find_tag(session: AsyncSession, user_id: int, key: str) -> TagRow | None:
    return (
        await session.execute(select(TagRow).where(TagRow.user_id == user_id, TagRow.key == key))
    ).scalar_one_or_none()


async def aliases_of(session: AsyncSession, tag_id: int) -> list[TagRow]:
    query = select(TagRow).where(TagRow.merged_into == tag_id).order_by(TagRow.id)
    return list((await session.execute(query)).scalars())


def _known(row: Any) -> KnownTag:
    return KnownTag(row.id, row.key, row.name, row.state == "banned", row.merged_into)


async def alias_keys(session: AsyncSession, tag_id: int) -> set[str]:
    """The keys of the aliases of a tag."""
    return set((await session.execute(select(TagRow.key).where(TagRow.merged_into == tag_id))).scalars())
