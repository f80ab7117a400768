"""Watches, and the posts that they look at. Nothing here commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.upsert import upsert
from storage.schema.tables import Channel, OutboxRow, Person, Post
from storage.schema.types import as_text
from storage.schema.watch_tables import WatchHit, WatchRow


@dataclass(frozen=True, slots=True)
class Candidate:
    """A newly tagged post that a watch has to look at."""

    watch_id: int
    query: str
    post_id: int
    user_id: int
    channel_id: int
    channel: str
    text: str
    tags: tuple[str, ...]


async def note_tagged(session: AsyncSession, post_ids: Collection[int]) -> None:
    """Note newly tagged posts for the watches of their users; a post that was found before is not noted again."""
    found = (
        select(WatchRow.id, Post.id)
        .join(Post, Post.user_id == WatchRow.user_id)
        .where(Post.id.in_(sorted(post_ids)), Post.posted_at >= WatchRow.created_at, WatchRow.paused.is_(False))
    )
    columns = ["watch_id", "post_id"]
    statement = upsert(session, WatchHit).from_select(columns, found)
    await session.execute(statement.on_conflict_do_nothing(index_elements=columns))


async def candidates(session: AsyncSession, most: int) -> list[Candidate]:
    query = (
        select(WatchHit.watch_id, WatchRow.query, Post.id, Post.user_id, Post.channel_id, Post.text, Post.tags)
        .add_columns(Channel.channel_username)
        .join(WatchRow, WatchRow.id == WatchHit.watch_id)
        .join(Post, Post.id == WatchHit.post_id)
        .outerjoin(Channel, Channel.id == Post.channel_id)
        .where(WatchHit.outbox_id.is_(None), WatchHit.matches.is_(None))
        .limit(most)
    )
    return [
        Candidate(
            row.watch_id,
            row.query,
            row.id,
            row.user_id,
            row.channel_id,
            row.channel_username or "",
            as_text(row.text) or "",
            tuple(row.tags or ()),
        )
        for row in await session.execute(query)
    ]


async def settle(session: AsyncSession, seen: Candidate, *, matches: bool) -> None:
    this = and_(WatchHit.watch_id == seen.watch_id, WatchHit.post_id == seen.post_id)
    if matches:
        await session.execute(update(WatchHit).where(this).values(matches=True))
    else:
        await session.execute(delete(WatchHit).where(this, WatchHit.matches.is_(None)))


def _due(now: datetime) -> ColumnElement[bool]:
    unreachable = exists().where(Person.telegram_id == WatchRow.chat_id, Person.reachable.is_(False))
    return and_(WatchRow.paused.is_(False), WatchRow.next_at <= now, ~unreachable, _untold().exists())


def _untold() -> Any:
    return select(WatchHit.post_id).where(
        WatchHit.watch_id == WatchRow.id, WatchHit.outbox_id.is_(None), WatchHit.matches.is_(True)
    )


async def any_due(session: AsyncSession, now: datetime) -> bool:
    return (await session.execute(select(WatchRow.id).where(_due(now)).limit(1))).first() is not None


async def take_due(session: AsyncSession, now: datetime, most: int) -> Sequence[WatchRow]:
    """Watches that have something to tell, their rows locked."""
    query = select(WatchRow).where(_due(now)).order_by(WatchRow.next_at, WatchRow.id).limit(most)
    return (await session.execute(query.with_for_update(skip_locked=True))).scalars().all()


async def queue(session: AsyncSession, watch: WatchRow, now: datetime) -> None:
    """Queue one message for all that the watch has found; its text is written when it is sent."""
    row = OutboxRow(
        kind="watch",
        telegram_id=watch.telegram_id,
        chat_id=watch.chat_id,
        thread_id=watch.thread_id,
        payload={"watch": watch.id},
        created_at=now,
        ready_at=now,
    )
    session.add(row)
    await session.flush()
    untold = and_(WatchHit.watch_id == watch.id, WatchHit.outbox_id.is_(None), WatchHit.matches.is_(True))
    told = await session.execute(update(WatchHit).where(untold).values(outbox_id=row.id))
    if not cast("CursorResult[Any]", told).rowcount:
        await session.delete(row)


async def told_by(session: AsyncSession, outbox_id: int) -> list[int]:
    """The posts of one message, the newest first."""
    query = select(WatchHit.post_id).where(WatchHit.outbox_id == outbox_id).order_by(WatchHit.post_id.desc())
    return list((await session.execute(query)).scalars())


async def give_up(session: AsyncSession, watch_id: int, outbox_ids: Collection[int]) -> WatchRow | None:
    """Pause a watch whose chat takes no messages; what was not told is told when it is resumed."""
    await session.execute(update(WatchHit).where(WatchHit.outbox_id.in_(outbox_ids)).values(outbox_id=None))
    watch = await session.get(WatchRow, watch_id)
    if watch is not None:
        watch.paused = True
    return watch


async def move_chat(session: AsyncSession, old: int, new: int) -> None:
    """A group has become a supergroup: it has another id."""
    await session.execute(update(WatchRow).where(WatchRow.chat_id == old).values(chat_id=new))
    unsent = and_(OutboxRow.chat_id == old, OutboxRow.done_at.is_(None))
    await session.execute(update(OutboxRow).where(unsent).values(chat_id=new))


async def find(session: AsyncSession, watch_id: int) -> WatchRow | None:
    return await session.get(WatchRow, watch_id)


async def of_person(session: AsyncSession, telegram_id: int, limit: int, offset: int = 0) -> Sequence[WatchRow]:
    """The newest first."""
    query = select(WatchRow).where(WatchRow.telegram_id == telegram_id).order_by(WatchRow.id.desc())
    return (await session.execute(query.limit(limit).offset(offset))).scalars().all()


async def count(session: AsyncSession, telegram_id: int) -> int:
    query = select(func.count()).select_from(WatchRow).where(WatchRow.telegram_id == telegram_id)
    return (await session.execute(query)).scalar_one()


async def same(session: AsyncSession, row: WatchRow) -> WatchRow | None:
    """The person's watch with the same query in the same place."""
    thread = WatchRow.thread_id.is_(None) if row.thread_id is None else WatchRow.thread_id == row.thread_id
    query = select(WatchRow).where(
        WatchRow.telegram_id == row.telegram_id, WatchRow.chat_id == row.chat_id, thread, WatchRow.query == row.query
    )
    return (await session.execute(query.limit(1))).scalar_one_or_none()


async def remove(session: AsyncSession, watch_id: int) -> None:
    await session.execute(delete(WatchHit).where(WatchHit.watch_id == watch_id))
    await session.execute(delete(WatchRow).where(WatchRow.id == watch_id))
