"""The tags of users' vocabularies: looked up by key, added, offered."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, cast

from sqlalchemy import Integer, Table, and_, bindparam, case, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.parameters import padded
from storage.db.upsert import upsert
from storage.schema.index_conditions import TAGS_OFFERED
from storage.schema.tag_tables import TagRow, TagStem

_TAGS = cast("Table", TagRow.__table__)
_STEMS = cast("Table", TagStem.__table__)
#: A statement's parameters are limited (SQLite 32,766), and long lists are slow to plan.
CHUNK = 500
#: A stem that more tags of a user have says little.
COMMON_STEM = 300
#: Tags that are compared; most texts share stems with fewer.
CANDIDATES = 128
# Made once: each request executes them.
_OF_USER = and_(_TAGS.c.user_id == bindparam("user_id"), sql(TAGS_OFFERED))
_MOST_USED = select(_TAGS.c.name).where(_OF_USER).order_by(_TAGS.c.uses.desc()).limit(bindparam("most"))
# Two statements instead of a join: PostgreSQL keeps the plan that it made while the tables were empty.
_WITH_STEMS = select(_STEMS.c.user_id, _STEMS.c.stem, _STEMS.c.tag_id).where(
    _STEMS.c.user_id.in_(bindparam("users", expanding=True)), _STEMS.c.stem.in_(bindparam("stems", expanding=True))
)
_OFFERED = select(_TAGS.c.id, _TAGS.c.name, _TAGS.c.stem_count, _TAGS.c.uses).where(
    _TAGS.c.id.in_(bindparam("ids", expanding=True)), sql(TAGS_OFFERED)
)


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
_COLUMNS = (_TAGS.c.id, _TAGS.c.user_id, _TAGS.c.key, _TAGS.c.name, _TAGS.c.state, _TAGS.c.merged_into)
_BY_KEY = select(*_COLUMNS).where(
    _TAGS.c.user_id.in_(bindparam("users", expanding=True)), _TAGS.c.key.in_(bindparam("keys", expanding=True))
)
_BY_ID = select(*_COLUMNS).where(_TAGS.c.id.in_(bindparam("ids", expanding=True)))


async def known_tags(session: AsyncSession, keys: Mapping[int, Collection[str]]) -> tuple[Known, dict[int, KnownTag]]:
    """The tags of these users with these keys, and the tags that aliases among them lead to, by id."""
    found: Known = {}
    wanted = sorted({key for each in keys.values() for key in each})
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        rows = await session.execute(_BY_KEY, {"users": padded(keys), "keys": padded(some)})
        found |= {(row.user_id, row.key): _known(row) for row in rows if row.key in keys[row.user_id]}
    targets = {tag.merged_into for tag in found.values() if tag.merged_into is not None}
    if not targets:
        return found, {}
    rows = await session.execute(_BY_ID, {"ids": padded(targets)})
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
    return list((await session.execute(_MOST_USED, {"user_id": user_id, "most": most})).scalars())


async def nearest(session: AsyncSession, texts: Sequence[tuple[int, Collection[str]]], most: int) -> list[list[str]]:
    """For each (users.id, stems of a text): the names of their tags that share most of their stems with it."""
    tags_of: dict[tuple[int, str], list[int]] = {}
    stems = {stem for _, each in texts for stem in each}
    if stems:
        values = {"users": padded(user_id for user_id, each in texts if each), "stems": padded(stems)}
        for user_id, stem, tag_id in await session.execute(_WITH_STEMS, values):
            tags_of.setdefault((user_id, stem), []).append(tag_id)
    shared = [_shared([tags_of.get((user_id, stem), []) for stem in each]) for user_id, each in texts]
    ids = {tag_id for counts in shared for tag_id in counts}
    rows = (await session.execute(_OFFERED, {"ids": padded(ids)})).all() if ids else []
    offered = {row.id: row for row in rows}
    return [_nearest_of(counts, offered)[:most] for counts in shared]


def _shared(tags_of_stems: Sequence[Sequence[int]]) -> dict[int, int]:
    """Tag → how many of the stems it has, for at most CANDIDATES tags, those of the rarest stems first."""
    rarest = sorted((ids for ids in tags_of_stems if len(ids) <= COMMON_STEM), key=len)
    return dict(islice(Counter(chain.from_iterable(rarest)).items(), CANDIDATES))


def _nearest_of(shared: Mapping[int, int], offered: Mapping[int, Any]) -> list[str]:
    rows = [offered[tag_id] for tag_id in shared if tag_id in offered]
    rows.sort(key=lambda row: (-shared[row.id] / (row.stem_count or 1), -shared[row.id], -row.uses, row.id))
    return [row.name for row in rows]


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
