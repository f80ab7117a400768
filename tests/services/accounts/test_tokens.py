"""API tokens of single users."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from services.accounts.people import People
from services.accounts.tokens import Tokens, UnknownPersonError
from storage.db.engine import Database
from tests.storage.rows import NOW, add_user, sqlite_without_foreign_keys


@pytest.fixture
async def tokens(database: Database) -> Tokens:
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
    return Tokens(database, People(database, frozenset(), lambda: NOW), lambda: NOW)


async def test_a_token_reaches_its_user_until_it_is_revoked(tokens: Tokens) -> None:
    token, other = await tokens.create(1001), await tokens.create(1002)
    assert await tokens.user_of(token) == 1
    assert await tokens.user_of(other) == 2
    mine, theirs = await tokens.list()
    assert token.startswith(mine.prefix)
    assert (mine.telegram_id, mine.name, mine.created_at, theirs.telegram_id) == (1001, "U1", NOW, 1002)
    assert await tokens.revoke(mine.id)
    assert not await tokens.revoke(mine.id)
    assert await tokens.user_of(token) is None
    assert await tokens.user_of(other) == 2


async def test_the_token_itself_is_not_in_the_database(database: Database, tokens: Tokens) -> None:
    token = await tokens.create(1001)
    async with database.read() as session:
        row = (await session.execute(text("SELECT * FROM metka_tokens"))).one()
    assert all(token[10:] not in str(value) for value in row)


async def test_other_words_are_no_tokens(tokens: Tokens) -> None:
    token = await tokens.create(1001)
    for wrong in ("", "mtk_", token[:-1], token + "x", token.upper(), "mtk_\x00", "mtk_\ud800"):
        assert await tokens.user_of(wrong) is None


async def test_a_user_who_may_not_use_the_bot_has_no_token(database: Database, tokens: Tokens) -> None:
    token = await tokens.create(1001)
    async with database.write() as session:
        await session.execute(text("UPDATE users SET is_active = false WHERE id = 1"))
    assert await tokens.user_of(token) is None


async def test_who_may_not_use_the_bot_gets_no_token(database: Database, tokens: Tokens) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE users SET is_active = false WHERE id = 1"))
    with pytest.raises(UnknownPersonError):
        await tokens.create(1001)


async def test_nobody_gets_a_token_for_an_unknown_person(tokens: Tokens) -> None:
    with pytest.raises(UnknownPersonError):
        await tokens.create(5)


async def test_deleting_a_user_deletes_their_tokens(database: Database, tokens: Tokens) -> None:
    token = await tokens.create(1001)
    async with database.write() as session:
        await session.execute(text("DELETE FROM users WHERE id = 1"))
    assert await tokens.user_of(token) is None
    assert await tokens.list() == []


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_token_does_not_reach_who_got_its_users_id(database: Database, tokens: Tokens) -> None:
    """SQLite reuses the id of a deleted row, and the parser's DELETE need not cascade."""
    token = await tokens.create(1002)
    with sqlite_without_foreign_keys(database) as other:
        other.execute("DELETE FROM users WHERE id = 2")
        other.execute("INSERT INTO users (telegram_id) VALUES (777)")
    async with database.read() as session:
        assert (await session.execute(text("SELECT id FROM users WHERE telegram_id = 777"))).scalar_one() == 2
        assert (await session.execute(text("SELECT count(*) FROM metka_tokens"))).scalar_one() == 1
    assert await tokens.user_of(token) is None
    assert await tokens.list() == []
    assert await tokens.user_of(await tokens.create(777)) == 2


@pytest.mark.parametrize("name", ["a\x1b[2Jb\n", "a[2Jb\u202e"])
async def test_a_listed_name_has_nothing_that_a_terminal_obeys(database: Database, tokens: Tokens, name: str) -> None:
    await tokens.create(1001)
    async with database.write() as session:
        await session.execute(text("UPDATE users SET first_name = :n WHERE id = 1"), {"n": name})
    assert [token.name for token in await tokens.list()] == ["a[2Jb"]
