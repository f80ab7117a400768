"""People: the parser's users, their access to the bot, and whether messages reach them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import BigInteger, CursorResult, Executable, and_, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.locks import lock_number
from storage.db.upsert import upsert
from storage.schema import parser_tables
from storage.schema.parser_tables import OptionalColumns
from storage.schema.tables import Person, User
from storage.schema.types import UtcDateTime


@dataclass(frozen=True, slots=True)
class Account:
    """A row of the parser's users; `may_use`: active and not blocked."""

    id: int
    may_use: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A row of `metka_people`."""

    language: str | None
    name: str | None
    username: str | None
    access: str | None
    reachable: bool | None
    told: bool


async def find_person_and_account(
    session: AsyncSession, telegram_id: int, columns: OptionalColumns, now: datetime
) -> tuple[Known | None, Account | None]:
    """What is known of a person, and their users row, in one statement: every update asks for both."""
    # There is at least one row, and there are more where the parser's table holds a Telegram id twice.
    given = {"telegram_id": telegram_id, "now": now}
    is_known, *values, user_id, may_use = (await session.execute(_person_and_account(columns), given)).fetchall()[0]
    return Known(*values) if is_known else None, None if user_id is None else Account(user_id, bool(may_use))


@cache
def _person_and_account(columns: OptionalColumns) -> Executable:
    # Built once: to build it takes as long as to ask it, and every update does.
    who = select(bindparam("telegram_id", type_=BigInteger).label("telegram_id")).subquery()
    person, user = Person.__table__.c, User.__table__.c
    known = [person[field.name] for field in fields(Known)]
    may_use = parser_tables.may_use_clause(columns, now=bindparam("now", type_=UtcDateTime))
    return (
        select(person.telegram_id.is_not(None), *known, user.id, may_use)
        .select_from(who)
        .outerjoin(Person.__table__, person.telegram_id == who.c.telegram_id)
        .outerjoin(User.__table__, user.telegram_id == who.c.telegram_id)
    )


async def find_account(
    session: AsyncSession, telegram_id: int, columns: OptionalColumns, now: datetime
) -> Account | None:
    allowed = parser_tables.may_use_clause(columns, now=now)
    row = (await session.execute(select(User.id, allowed).where(User.telegram_id == telegram_id))).first()
    return None if row is None else Account(row[0], bool(row[1]))


async def open_account(
    session: AsyncSession, telegram_id: int, *, name: str | None, username: str | None, now: datetime
) -> int:
    """Activate or insert the users row of a Telegram id; returns its id."""
    await lock_number(session, telegram_id)
    user_id = (await session.execute(select(User.id).where(User.telegram_id == telegram_id))).scalar_one_or_none()
    if user_id is None:
        return await parser_tables.insert_user(
            session, telegram_id=telegram_id, username=username, first_name=name, last_name=None, now=now
        )
    await session.execute(update(User).where(User.id == user_id).values(is_active=True))
    return user_id


async def user_id_of(session: AsyncSession, telegram_id: int) -> int | None:
    return (await session.execute(select(User.id).where(User.telegram_id == telegram_id))).scalars().first()


async def telegram_id_of(session: AsyncSession, user_id: int) -> int | None:
    return (await session.execute(select(User.telegram_id).where(User.id == user_id))).scalar_one_or_none()


async def find(session: AsyncSession, telegram_id: int) -> Person | None:
    return await session.get(Person, telegram_id)


async def save(session: AsyncSession, telegram_id: int, now: datetime, **values: Any) -> None:
    """Set these columns of a person, who may be new."""
    values = {**values, "updated_at": now}
    statement = upsert(session, Person).values(telegram_id=telegram_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["telegram_id"], set_=values))


async def ask(session: AsyncSession, telegram_id: int, now: datetime, *, declined_before: datetime) -> bool:
    """Note a request for access; False if one is open, or was declined after `declined_before`."""
    # 'approved' can ask again: the parser may have removed the account since.
    declined = and_(Person.access == "declined", Person.updated_at < declined_before)
    may_ask = or_(Person.access.is_(None), Person.access == "approved", declined)
    return await _set_access(session, telegram_id, "asked", may_ask, now)


async def decide(session: AsyncSession, telegram_id: int, access: str, now: datetime) -> bool:
    """Answer a request for access ('approved' or 'declined'); False if none is open."""
    return await _set_access(session, telegram_id, access, Person.access == "asked", now)


async def _set_access(session: AsyncSession, telegram_id: int, access: str, condition: Any, now: datetime) -> bool:
    statement = (
        update(Person)
        .where(Person.telegram_id == telegram_id, condition)
        .values(access=access, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount == 1


async def languages(session: AsyncSession, telegram_ids: Collection[int]) -> dict[int, str]:
    """Telegram id → language, where known."""
    query = select(Person.telegram_id, Person.language).where(Person.telegram_id.in_(telegram_ids))
    return {who: language for who, language in (await session.execute(query)) if language}
