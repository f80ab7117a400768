"""The outbox: messages to people, written in the transaction of their event."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.schema.tables import OutboxRow, Person, Post

#: A result waits so long for the message to edit; then it is sent as a new one.
ATTACH_WITHIN = timedelta(seconds=5)
#: Failures are collected for so long before the first notice.
COLLECT_FOR = timedelta(seconds=2)
#: The shortest time between two notices of failures to a person.
NOTICE_EVERY = timedelta(seconds=60)
#: After this a row taken for sending is free again: its sender is gone.
SENDING_FOR = timedelta(seconds=60)
#: A statement's parameters are limited (SQLite 32,766).
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Failed:
    """An outbox row of a failed post."""

    row_id: int
    post_id: int
    created_at: datetime


async def post_failed(session: AsyncSession, post_id: int, owner_telegram_id: int, now: datetime) -> None:
    """Tell the owner that a post failed, unless they want no notices, or an open one or an awaited result does."""
    unwanted = exists().where(Person.telegram_id == owner_telegram_id, Person.notices == "off")
    told_already = exists().where(
        OutboxRow.post_id == post_id,
        OutboxRow.telegram_id == owner_telegram_id,
        OutboxRow.kind.in_(("failed", "result")),
        OutboxRow.done_at.is_(None),
    )
    if not (await session.execute(select(literal(1)).where(or_(told_already, unwanted)))).first():
        session.add(
            OutboxRow(kind="failed", telegram_id=owner_telegram_id, post_id=post_id, created_at=now, ready_at=now)
        )
        await session.flush()


async def withdraw_failed(session: AsyncSession, telegram_id: int, now: datetime) -> None:
    """The person does not want to hear of failures any more."""
    await _set(session, and_(_unsent_failed(), OutboxRow.telegram_id == telegram_id), done_at=now, error="unwanted")


async def outcome_ready(session: AsyncSession, post_ids: Sequence[int], now: datetime) -> None:
    """Make the awaited results of these posts ready, also while an earlier one is being sent."""
    waiting = and_(OutboxRow.kind == "result", OutboxRow.done_at.is_(None))
    for ids in _chunks(post_ids):
        await _set(session, and_(OutboxRow.post_id.in_(ids), waiting), ready_at=now)


async def tell_admins(
    session: AsyncSession,
    admin_ids: Iterable[int],
    payload: dict[str, Any],
    now: datetime,
    *,
    topic: str | None = None,
    ready_at: datetime | None = None,
) -> None:
    """Send each person the text that `payload` describes; `topic` names a lasting condition."""
    rows = [
        {
            "kind": "admin",
            "telegram_id": admin_id,
            "payload": payload,
            "topic": topic,
            "created_at": now,
            "ready_at": ready_at or now,
        }
        for admin_id in sorted(admin_ids)
    ]
    if rows:
        await session.execute(insert(OutboxRow), rows)


async def tell_of_channel(
    session: AsyncSession,
    telegram_id: int,
    payload: dict[str, Any],
    now: datetime,
    *,
    chat_id: int | None = None,
    message_id: int | None = None,
) -> None:
    """News of a channel or an import; with `message_id` it edits that message and replaces unsent news."""
    await _replace(session, OutboxRow.kind == "channel", chat_id, message_id, now)
    session.add(
        OutboxRow(
            kind="channel",
            telegram_id=telegram_id,
            chat_id=chat_id,
            message_id=message_id,
            payload=payload,
            created_at=now,
            ready_at=now,
        )
    )
    await session.flush()


async def open_topic(session: AsyncSession, topic: str) -> list[OutboxRow]:
    query = select(OutboxRow).where(OutboxRow.topic == topic, OutboxRow.topic.is_not(None)).order_by(OutboxRow.id)
    return list((await session.execute(query)).scalars())


async def last_of_topic(session: AsyncSession, topic: str) -> datetime | None:
    query = select(func.max(OutboxRow.created_at)).where(OutboxRow.topic == topic, OutboxRow.topic.is_not(None))
    return (await session.execute(query)).scalar_one_or_none()


async def close_topic(session: AsyncSession, topic: str, now: datetime) -> set[int]:
    """End a topic and withdraw its unsent rows; returns the people who were told."""
    rows = await open_topic(session, topic)
    # Rows being sent cannot be withdrawn.
    waiting = [row for row in rows if row.done_at is None]
    going_out = [row for row in waiting if not row.tries and row.not_before is not None and row.not_before > now]
    told = [row for row in rows if row.done_at is not None and row.error is None] + going_out
    unsent = [row.id for row in waiting if row not in going_out]
    await close(session, unsent, now, error="outdated")
    await _set(session, OutboxRow.id.in_([row.id for row in rows]), topic=None)
    return {row.telegram_id for row in told}


async def open_result(
    session: AsyncSession,
    *,
    post_id: int,
    telegram_id: int,
    chat_id: int,
    message_id: int | None,
    now: datetime,
    payload: dict[str, Any] | None = None,
) -> int:
    """Note that a person waits for a post's outcome; replaces an open request for the same message.

    `payload`: {'news': True} for an owner who is told of each tagged post, and has asked for none.
    """
    of_post = and_(OutboxRow.kind == "result", OutboxRow.post_id == post_id)
    await _replace(session, of_post, chat_id, message_id, now)
    row = OutboxRow(
        kind="result",
        telegram_id=telegram_id,
        post_id=post_id,
        chat_id=chat_id,
        message_id=message_id,
        payload=payload,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return row.id


async def _replace(
    session: AsyncSession, rows: ColumnElement[bool], chat_id: int | None, message_id: int | None, now: datetime
) -> None:
    if message_id is not None:
        of_message = and_(OutboxRow.chat_id == chat_id, OutboxRow.message_id == message_id)
        await _set(session, and_(rows, of_message, OutboxRow.done_at.is_(None)), done_at=now, error="replaced")


async def attach(session: AsyncSession, outbox_id: int, message_id: int, payload: dict[str, Any] | None = None) -> None:
    await _set(session, OutboxRow.id == outbox_id, message_id=message_id, payload=payload)


async def prune(session: AsyncSession, before: datetime, limit: int) -> int:
    # The oldest rows have the lowest ids.
    oldest = select(OutboxRow.id, OutboxRow.created_at).order_by(OutboxRow.id).limit(limit).subquery()
    ids = select(oldest.c.id).where(oldest.c.created_at < before)
    statement = delete(OutboxRow).where(OutboxRow.id.in_(ids)).execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount


def is_any_open() -> Select[tuple[bool]]:
    """Whether a message waits to be sent, now or soon, by a cheap query."""
    return select(
        select(literal(1)).where(OutboxRow.done_at.is_(None), OutboxRow.ready_at.is_not(None), _is_reachable()).exists()
    )


async def anything_due(session: AsyncSession, now: datetime) -> bool:
    """Whether a row is due: `take_*` needs a writing transaction."""
    due = select(literal(1)).where(or_(_singles(now).exists(), _collected(now).exists()))
    return (await session.execute(due)).first() is not None


async def count_waiting(session: AsyncSession, now: datetime) -> int:
    waiting = and_(OutboxRow.done_at.is_(None), OutboxRow.ready_at <= now, _is_reachable())
    return (await session.execute(select(func.count()).select_from(OutboxRow).where(waiting))).scalar_one()


async def take_singles(session: AsyncSession, limit: int, now: datetime) -> list[OutboxRow]:
    """Take ready results and texts for sending, oldest first; no other process gets them."""
    ids = _singles(now).order_by(OutboxRow.ready_at, OutboxRow.id).limit(limit)
    statement = (
        update(OutboxRow)
        .where(OutboxRow.id.in_(ids.with_for_update(skip_locked=True)))
        .values(not_before=now + SENDING_FOR)
        .returning(OutboxRow)
        .execution_options(synchronize_session=False)
    )
    rows = (await session.execute(statement)).scalars().all()
    return sorted(rows, key=lambda row: (row.ready_at or now, row.id))


async def take_failed(session: AsyncSession, limit: int, now: datetime) -> dict[int, list[Failed]]:
    """Take the failures of up to `limit` people for sending."""
    people = (await session.execute(_collected(now).limit(limit))).scalars().all()
    if not people:
        return {}
    theirs = and_(_unsent_failed(), OutboxRow.telegram_id.in_(people))
    await _close_outdated(session, theirs, now)
    ids = select(OutboxRow.id).where(theirs, OutboxRow.ready_at <= now).with_for_update(skip_locked=True)
    statement = (
        update(OutboxRow)
        .where(OutboxRow.id.in_(ids))
        .values(not_before=now + SENDING_FOR)
        .returning(OutboxRow.telegram_id, OutboxRow.id, OutboxRow.post_id, OutboxRow.created_at)
        .execution_options(synchronize_session=False)
    )
    taken: dict[int, list[Failed]] = {}
    for telegram_id, row_id, post_id, created_at in sorted(await session.execute(statement)):
        taken.setdefault(telegram_id, []).append(Failed(row_id, post_id or 0, created_at))
    return taken


async def close(session: AsyncSession, ids: Sequence[int], now: datetime, **values: Any) -> None:
    await _set_rows(session, ids, done_at=now, **values)


async def postpone(session: AsyncSession, ids: Sequence[int], until: datetime) -> None:
    await _set_rows(session, ids, not_before=until, tries=OutboxRow.tries + 1)


async def give_back(session: AsyncSession, ids: Sequence[int]) -> None:
    await _set_rows(session, ids, not_before=None)


async def shown(
    session: AsyncSession,
    outbox_id: int,
    *,
    message_id: int | None,
    of: datetime | None,
    final: bool,
    now: datetime,
) -> None:
    """Note that the result of `of` was sent. A row with a newer outcome stays ready."""
    await _set(session, OutboxRow.id == outbox_id, message_id=message_id, not_before=None, tries=0)
    unchanged = and_(OutboxRow.id == outbox_id, OutboxRow.ready_at == of)
    await _set(session, unchanged, **({"done_at": now} if final else {"ready_at": None}))


def _is_reachable() -> ColumnElement[bool]:
    unreachable = exists().where(Person.telegram_id == OutboxRow.telegram_id, Person.reachable.is_(False))
    in_group = and_(OutboxRow.chat_id.is_not(None), OutboxRow.chat_id != OutboxRow.telegram_id)
    return or_(in_group, ~unreachable)


def _singles(now: datetime) -> Select[int]:
    # News have a payload, and no message to wait for.
    has_place = or_(OutboxRow.message_id.is_not(None), OutboxRow.payload.is_not(None))
    attached = or_(has_place, OutboxRow.created_at <= now - ATTACH_WITHIN)
    return select(OutboxRow.id).where(
        OutboxRow.done_at.is_(None),
        OutboxRow.ready_at <= now,
        or_(OutboxRow.not_before.is_(None), OutboxRow.not_before <= now),
        or_(OutboxRow.kind.in_(("admin", "channel", "digest", "watch")), and_(OutboxRow.kind == "result", attached)),
        _is_reachable(),
    )


def _unsent_failed() -> ColumnElement[bool]:
    return and_(OutboxRow.kind == "failed", OutboxRow.done_at.is_(None))


def _collected(now: datetime) -> Select[int]:
    """People with failures collected for COLLECT_FOR, none being sent, and no notice within NOTICE_EVERY."""
    waits_until = func.max(OutboxRow.not_before)
    collected = (
        select(OutboxRow.telegram_id, func.min(OutboxRow.ready_at).label("since"))
        .where(_unsent_failed(), OutboxRow.ready_at <= now)
        .group_by(OutboxRow.telegram_id)
        .having(
            func.min(OutboxRow.ready_at) <= now - COLLECT_FOR,
            or_(waits_until.is_(None), waits_until <= now),
        )
        .subquery()
    )
    # Once for each person, not for each failure.
    not_now = exists().where(
        Person.telegram_id == collected.c.telegram_id,
        or_(Person.reachable.is_(False), Person.last_notice_at > now - NOTICE_EVERY),
    )
    return select(collected.c.telegram_id).where(~not_now).order_by(collected.c.since)


async def _close_outdated(session: AsyncSession, condition: ColumnElement[bool], now: datetime) -> None:
    """Close notices of posts that were tagged, queued again or skipped since."""
    post = aliased(Post)
    still_so = exists().where(
        post.id == OutboxRow.post_id,
        or_(
            post.tagging_status == "failed",
            and_(post.tagging_status == "success", post.tagging_error.is_not(None)),
        ),
    )
    await _set(session, and_(condition, ~still_so), done_at=now, error="outdated")


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


async def _set_rows(session: AsyncSession, ids: Sequence[int], **values: Any) -> None:
    for chunk in _chunks(ids):
        await _set(session, OutboxRow.id.in_(chunk), **values)


async def _set(session: AsyncSession, condition: ColumnElement[bool], **values: Any) -> None:
    await session.execute(
        update(OutboxRow).where(condition).values(**values).execution_options(synchronize_session=False)
    )
