"""Who may use the bot, and what is remembered of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from services.accounts.people import CurrentUser, People, Role
from storage.db.engine import Database
from storage.schema.tables import OutboxRow, Person, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ADMIN, USER, STRANGER = 1, 2, 3


@pytest.fixture
async def people(database: Database) -> People:
    async with database.write() as session:
        session.add(User(telegram_id=USER, username="reader"))
    return People(database, frozenset({ADMIN}), lambda: NOW)


async def see(people: People, telegram_id: int, code: str | None = "ru") -> CurrentUser:
    return await people.seen(telegram_id, language_code=code, name="Анна", username="anna")


async def test_an_administrator_without_an_account_gets_one(people: People) -> None:
    first, again = await see(people, ADMIN), await see(people, ADMIN)
    assert first == again
    assert first.is_admin
    assert first.may_use
    assert first.user_id is not None


async def test_a_user_of_the_parsers_may_use_the_bot(people: People) -> None:
    user = await see(people, USER)
    assert (user.role, user.language, user.told) == (Role.USER, "ru", False)
    assert user.user_id is not None


async def test_an_inactive_or_blocked_user_may_not(database: Database, people: People) -> None:
    async with database.write() as session:
        await session.execute(update(User).values(is_active=False))
    assert (await see(people, USER)).role is Role.STRANGER


async def test_a_block_that_is_over_is_none(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("ALTER TABLE users ADD COLUMN is_blocked BOOLEAN"))
        await session.execute(text("ALTER TABLE users ADD COLUMN block_expires TIMESTAMP"))
        session.add(User(telegram_id=USER))
        await session.flush()
        await session.execute(text("UPDATE users SET is_blocked = true, block_expires = '2026-05-01 13:00:00'"))
    times = [NOW]
    people = People(database, frozenset(), lambda: times[0])
    assert not (await see(people, USER)).may_use
    times[0] = NOW + timedelta(hours=2)
    assert (await see(people, USER)).may_use


@pytest.mark.parametrize(("code", "language"), [("ru", "ru"), ("ru-RU", "ru"), ("de", "en"), (None, "en")])
async def test_the_language_is_russian_or_english(people: People, code: str | None, language: str) -> None:
    assert (await see(people, STRANGER, code)).language == language
    assert await people.language_of(STRANGER) == language


async def test_a_missing_language_code_changes_nothing(people: People) -> None:
    await see(people, STRANGER, "ru")
    assert (await see(people, STRANGER, None)).language == "ru"


async def test_writing_makes_reachable_again_and_is_written_only_when_new(database: Database) -> None:
    times = [NOW]
    people = People(database, frozenset(), lambda: times[0])
    await see(people, STRANGER)
    times[0] += timedelta(days=1)
    await see(people, STRANGER)
    assert await updated_at(database) == NOW
    await people.set_reachable(STRANGER, reachable=False)
    await see(people, STRANGER)
    async with database.read() as session:
        assert (await session.execute(select(Person.reachable))).scalar_one() is True


async def updated_at(database: Database) -> datetime | None:
    async with database.read() as session:
        return (await session.execute(select(Person.updated_at))).scalar_one()


async def test_a_stranger_asks_once_and_is_let_in_once(database: Database, people: People) -> None:
    stranger = await see(people, STRANGER)
    assert stranger.role is Role.STRANGER
    assert await people.ask_access(stranger, "Ан\x00на", None) == [ADMIN]
    assert await people.ask_access(stranger, "Анна", None) == []
    assert (await see(people, STRANGER)).role is Role.ASKED
    assert await people.decide_access(STRANGER, approve=True)
    assert not await people.decide_access(STRANGER, approve=False)
    user = await see(people, STRANGER)
    assert user.role is Role.USER
    assert user.user_id is not None
    assert await messages(database) == [
        (ADMIN, {"text": "access", "person": STRANGER, "name": "Анна", "username": None}),
        (STRANGER, {"text": "approved"}),
    ]


async def messages(database: Database) -> list[tuple[int, object]]:
    async with database.read() as session:
        query = select(OutboxRow.telegram_id, OutboxRow.payload).order_by(OutboxRow.id)
        return [(who, payload) for who, payload in (await session.execute(query))]


async def test_a_declined_stranger_can_ask_again_after_a_day(database: Database) -> None:
    times = [NOW]
    people = People(database, frozenset({ADMIN}), lambda: times[0])
    await people.ask_access(await see(people, STRANGER), "Анна", None)
    times[0] += timedelta(days=30)
    assert await people.decide_access(STRANGER, approve=False)
    declined = await see(people, STRANGER)
    assert declined.role is Role.DECLINED
    times[0] += timedelta(hours=23)
    assert await people.ask_access(declined, "Анна", None) == []
    times[0] += timedelta(hours=2)
    assert await people.ask_access(declined, "Анна", None) == [ADMIN]
    assert await people.decide_access(STRANGER, approve=True)
    assert (await see(people, STRANGER)).role is Role.USER


async def test_nobody_is_let_in_who_did_not_ask(people: People) -> None:
    assert not await people.decide_access(STRANGER, approve=True)
    await see(people, STRANGER)
    assert not await people.decide_access(STRANGER, approve=True)


async def test_approval_makes_an_inactive_account_active(database: Database, people: People) -> None:
    async with database.write() as session:
        await session.execute(update(User).values(is_active=False))
    await people.ask_access(await see(people, USER), "Анна", "anna")
    await people.decide_access(USER, approve=True)
    assert (await see(people, USER)).role is Role.USER


async def test_a_stranger_is_told_once(people: People) -> None:
    await people.mark_told(STRANGER)
    assert (await see(people, STRANGER)).told
