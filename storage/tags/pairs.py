"""Pairs of tags that may mean the same, and when a model was last asked for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.db.upsert import upsert
from storage.schema.index_conditions import TAGS_OFFERED
from storage.schema.tables import Post
from storage.schema.tag_tables import TagPair, TagRow, TagSuggestionRun


@dataclass(frozen=True, slots=True)
class OfferedTag:
    id: int
    name: str


async def most_used(session: AsyncSession, user_id: int, most: int) -> list[OfferedTag]:
    query = select(TagRow.id, TagRow.name).where(TagRow.user_id == user_id, sql(TAGS_OFFERED))
    rows = await session.execute(query.order_by(TagRow.uses.desc(), TagRow.id).limit(most))
    return [OfferedTag(row.id, row.name) for row in rows]


async def suggest(session: AsyncSession, user_id: int, pairs: Iterable[tuple[int, int]], now: datetime) -> None:
    """Add pairs; those that are known stay as the person decided."""
    rows = [
        {"user_id": user_id, "tag_id": min(pair), "other_id": max(pair), "state": "suggested", "changed_at": now}
        for pair in pairs
    ]
    if rows:
        await session.execute(upsert(session, TagPair).on_conflict_do_nothing(), rows)


async def open_pairs(session: AsyncSession, user_id: int, most: int) -> list[TagPair]:
    """Pairs that the person has not decided on, of tags that both still stand; those of the most posts first."""
    one, other = aliased(TagRow), aliased(TagRow)
    query = select(TagPair).where(TagPair.user_id == user_id, TagPair.state == "suggested")
    query = query.join(one, one.id == TagPair.tag_id).join(other, other.id == TagPair.other_id)
    for tag in (one, other):
        query = query.where(tag.user_id == user_id, tag.merged_into.is_(None), tag.state == "offered")
    query = query.order_by((one.uses + other.uses).desc(), TagPair.tag_id, TagPair.other_id).limit(most)
    return list((await session.execute(query)).scalars())


async def is_open(session: AsyncSession, user_id: int, pair: tuple[int, int]) -> bool:
    """Whether the pair was suggested to this user, and is not decided."""
    found = await session.get(TagPair, (user_id, min(pair), max(pair)))
    return found is not None and found.state == "suggested"


async def decide(session: AsyncSession, user_id: int, pair: tuple[int, int], state: str, now: datetime) -> None:
    of_pair = (TagPair.user_id == user_id, TagPair.tag_id == min(pair), TagPair.other_id == max(pair))
    await session.execute(update(TagPair).where(*of_pair).values(state=state, changed_at=now))


async def newest_post(session: AsyncSession, user_id: int) -> int:
    return (await session.execute(select(func.max(Post.id)).where(Post.user_id == user_id))).scalar_one() or 0


async def last_run(session: AsyncSession, user_id: int) -> tuple[int, datetime] | None:
    """The user's newest post then, and when it was."""
    run = await session.get(TagSuggestionRun, user_id)
    return None if run is None else (run.until_post, run.asked_at)


async def restore_run(session: AsyncSession, user_id: int, before: tuple[int, datetime] | None) -> None:
    """After a request that gave nothing: the next one need not wait for more posts."""
    if before is None:
        await session.execute(delete(TagSuggestionRun).where(TagSuggestionRun.user_id == user_id))
    else:
        await set_run(session, user_id, *before)


async def posts_since_last_run(session: AsyncSession, user_id: int, most: int) -> int | None:
    """The user's posts (at most `most` are counted) since a model was last asked; None: none was asked yet."""
    run = await last_run(session, user_id)
    if run is None:
        return None
    newer = select(Post.id).where(Post.user_id == user_id, Post.id > run[0]).limit(most).subquery()
    return (await session.execute(select(func.count()).select_from(newer))).scalar_one()


async def set_run(session: AsyncSession, user_id: int, until_post: int, now: datetime) -> None:
    values = {"asked_at": now, "until_post": until_post}
    statement = upsert(session, TagSuggestionRun).values(user_id=user_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))
