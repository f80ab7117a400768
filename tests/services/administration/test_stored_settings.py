"""Settings that administrators changed in the chat."""

from __future__ import annotations

import pytest

from services.accounts.people import CurrentUser, Role
from services.administration.rights import AdminsOnlyError
from services.administration.stored_settings import StoredSettings
from storage.administration import journal
from storage.db.engine import Database
from tests.storage.rows import NOW

BOSS = CurrentUser(900, 1, Role.ADMIN, "en", told=False)
ANNA = CurrentUser(1001, 2, Role.USER, "ru", told=False)


def stored(database: Database) -> StoredSettings:
    return StoredSettings(database, lambda: NOW)


async def test_a_change_reaches_other_processes_and_is_undone(database: Database) -> None:
    mine, other = stored(database), stored(database)
    heard: list[object] = []
    other.on_change(lambda: heard.append(other.get("models")))
    await mine.save(BOSS, "models", ["a/b"], details={"models": ["a/b"]})
    assert mine.get("models") == ["a/b"]
    await other.work()
    await other.work()
    await mine.back_to_env(BOSS, "models")
    await other.work()
    assert heard == [["a/b"], None]
    async with database.read() as session:
        lines = await journal.newest(session, 10, 0)
    assert [(line.telegram_id, line.action, line.details) for line in lines] == [
        (900, "models", {"back_to_env": True}),
        (900, "models", {"models": ["a/b"]}),
    ]


async def test_only_administrators_change_settings(database: Database) -> None:
    settings = stored(database)
    with pytest.raises(AdminsOnlyError):
        await settings.save(ANNA, "models", ["a/b"])
    with pytest.raises(AdminsOnlyError):
        await settings.back_to_env(ANNA, "models")
    await settings.load()
    assert settings.get("models") is None
