"""People: the parser's users, their access to the bot, and whether messages reach them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.db.locks import lock_number
from storage.db.upsert import upsert
from storage.schema import parser_tables
from storage.schema.parser_tables import OptionalColumns
from storage.schema.tables import Person, User

DEFAULT_DIGEST_HOUR = 9


@dataclass(frozen=True, slots=True)
class Account:
    """A row of the parser's users; `may_use`: active and not blocked."""

    id: int
    may_use: bool


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
        values = {
            "telegram_id": telegram_id,
            "username": username,
            "first_name": name,
            "created_at": now,
            "is_active": True,
        }
        return int((await parser_tables.insert_row(session, User, values, now=now))[0])
    await session.execute(update(User).where(User.id == user_id).values(is_active=True))
    return user_id


async def user_id_of(session: AsyncSession, telegram_id: int) -> int | None:
    return (await session.execute(select(User.id).where(User.telegram_id == telegram_id))).scalars().first()


async def telegram_id_of(session: AsyncSession, user_id: int) -> int | None:
    return (await session.execute(select(User.telegram_id).where(User.id == user_id))).scalar_one_or_none()


async def find(session: AsyncSession, telegram_id: int) -> Person | None:
    return await session.get(Person, telegram_id)


async def save(session: AsyncSession, telegram_id: int, now: datetime, **values: Any) -> None:
    values = {**values, "updated_at": now}
    statement = upsert(session, Person).values(telegram_id=telegram_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["telegram_id"], set_=values))


async def ask(session: AsyncSession, telegram_id: int, now: datetime, *, declined_before: datetime) -> bool:
    """Note a request for access; False if one is open, or was declined after `declined_before`."""
    # 'approved' can ask again: the parser may have removed the account since.
    declined = and_(Person.access == "declined", Person.updated_at < declined_before)
    may_ask = or_(Person.access.is_(None), Person.access == "approved", declined)
    return await _set_access(session, telegram_id, "asked", may_ask, now)


async def decide(
    session: AsyncSession, telegram_id: int, access: str, now: datetime, *, after_all: bool = False
) -> bool:
    """Answer a request for access ('approved' or 'declined'); False if none is open. `after_all`: or declined."""
    is_open = Person.access.in_(("asked", "declined") if after_all else ("asked",))
    return await _set_access(session, telegram_id, access, is_open, now)


async def _set_access(session: AsyncSession, telegram_id: int, access: str, condition: Any, now: datetime) -> bool:
    statement = (
        update(Person)
        .where(Person.telegram_id == telegram_id, condition)
        .values(access=access, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount == 1


async def find_several(session: AsyncSession, telegram_ids: Collection[int]) -> dict[int, Person]:
    query = select(Person).where(Person.telegram_id.in_(telegram_ids))
    return {person.telegram_id: person for person in (await session.execute(query)).scalars()}


def digest_hour(person: Person) -> int:
    return DEFAULT_DIGEST_HOUR if person.digest_hour is None else person.digest_hour
