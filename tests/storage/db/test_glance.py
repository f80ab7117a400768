"""Short reads: the same values as by a session, of one moment, and the same errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Executable, bindparam, insert, literal, select, update
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError, StatementError

from storage.db.engine import Database, is_unavailable
from storage.db.glance import Glance, glance
from storage.schema.tables import Person, Post, User
from storage.schema.types import UtcDateTime
from tests.storage.rows import NOW, add_posts, add_user


@pytest.fixture
async def filled(database: Database) -> Database:
    """One user's posts, each due a minute after the one before; the last whenever."""
    async with database.write() as session:
        await add_user(session, 1)
        await session.execute(insert(Person), [{"telegram_id": 1001, "told": True, "updated_at": NOW}])
        await add_posts(session, 1, 3, tagging_status="pending")
        for number in (1, 2):
            due = update(Post).where(Post.id == number).values(next_attempt_at=NOW + timedelta(minutes=number))
            await session.execute(due)
    return database


def due_posts() -> Executable:
    """With parameters of the statement's own, and two that are given."""
    moment = bindparam("now", type_=UtcDateTime)
    return (
        select(Post.id, Post.next_attempt_at, literal("due"), Post.next_attempt_at <= moment, Person.told)
        .join(User, User.id == Post.user_id)
        .join(Person, Person.telegram_id == User.telegram_id)
        .where(User.telegram_id == bindparam("telegram_id"))
        .order_by(Post.id)
        .limit(3)
    )


async def test_values_are_those_of_a_session(filled: Database) -> None:
    statement = due_posts()
    asked = {"now": NOW + timedelta(seconds=90), "telegram_id": 1001}
    found = await glance(filled, lambda by: by.rows(statement, asked))
    async with filled.read() as session:
        expected = (await session.execute(statement, asked)).all()
    assert [tuple(row) for row in found] == [tuple(row) for row in expected]
    assert [row.next_attempt_at for row in found] == [NOW + timedelta(minutes=1), NOW + timedelta(minutes=2), None]
    assert [row[3] for row in found] == [True, False, None]
    assert found[0].told is True


async def test_the_same_statement_is_asked_with_other_values(filled: Database) -> None:
    statement = due_posts()
    for telegram_id, count in ((1001, 3), (1, 0), (1001, 3)):
        asked = {"now": NOW, "telegram_id": telegram_id}
        assert len(await glance(filled, lambda by, asked=asked: by.rows(statement, asked))) == count  # type: ignore[misc]


async def test_a_value_that_is_missing_is_a_mistake(filled: Database) -> None:
    with pytest.raises((KeyError, StatementError)):
        await glance(filled, lambda by: by.rows(due_posts(), {"now": NOW}))


async def test_what_is_committed_is_seen_by_the_next(filled: Database) -> None:
    statement = select(Post.tagging_status).where(Post.id == 1)

    async def status() -> str:
        return str((await glance(filled, lambda by: by.rows(statement)))[0][0])

    assert await status() == "pending"
    async with filled.write() as session:
        await session.execute(update(Post).where(Post.id == 1).values(tagging_status="success"))
    assert await status() == "success"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_it_is_of_one_moment(filled: Database) -> None:
    """What another program commits meanwhile is not seen, nor is it kept from committing."""
    statement = select(Post.id)

    def twice(by: Glance) -> tuple[int, int]:
        before = len(by.rows(statement))
        other = sqlite3.connect(str(filled.url.database))
        with other:
            other.execute("DELETE FROM posts WHERE id = 1")
        other.close()
        return before, len(by.rows(statement))

    assert await glance(filled, twice) == (3, 3)
    assert len(await glance(filled, lambda by: by.rows(statement))) == 2


async def test_an_error_is_the_librarys_and_harms_no_other(filled: Database) -> None:
    unknown = select(literal(1)).select_from(sql("no_such_table"))
    with pytest.raises(DBAPIError) as error:
        await glance(filled, lambda by: by.rows(unknown))
    assert not is_unavailable(error.value)
    assert len(await glance(filled, lambda by: by.rows(due_posts(), {"now": NOW, "telegram_id": 1001}))) == 3


async def test_a_failing_look_ends_its_transaction(filled: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await glance(filled, lambda by: by.rows(select(literal(1)))[0][0] / 0)
    await test_what_is_committed_is_seen_by_the_next(filled)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_file_that_cannot_be_opened_is_a_database_that_is_away(filled: Database) -> None:
    """And it is opened again as soon as that can be done."""
    await filled.close()
    statement = select(Post.id)
    with _moved_away(Path(str(filled.url.database))), pytest.raises(DBAPIError) as error:
        await glance(filled, lambda by: by.rows(statement))
    assert is_unavailable(error.value)
    assert len(await glance(filled, lambda by: by.rows(statement))) == 3


@contextmanager
def _moved_away(path: Path) -> Iterator[None]:
    away = path.with_suffix(".away")
    path.rename(away)
    path.mkdir()
    yield
    path.rmdir()
    away.rename(path)
