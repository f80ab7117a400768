"""Liveness and readiness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from bot.telegram.health import TelegramState
from storage.db.engine import Database
from storage.schema.tables import Channel
from tests.storage.rows import NOW
from tests.web.running import ask, behind_proxy, serving


async def test_readiness(database: Database) -> None:
    async with serving(database) as web:
        assert await ask(web, "GET", "/healthz") == (200, {"status": "ok"})
        assert await ask(web, "GET", "/readyz") == (
            200,
            {
                "status": "ready",
                "database": {"ok": True, "migrated": True},
                "telegram": {"state": "ok", "since": "2026-01-01T12:00:00Z"},
                "provider": {"state": "open", "until": None},
            },
        )


@pytest.mark.parametrize("state", ["failing", "starting"])
async def test_not_ready_without_telegram(database: Database, state: Any) -> None:
    async with serving(database) as web:
        web.telegram = TelegramState(state, NOW, "TelegramUnauthorizedError")
        status, answer = await ask(web, "GET", "/readyz")
        assert (status, answer["status"], answer["telegram"]["state"]) == (503, "unready", state)
        assert "Unauthorized" not in str(answer)


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_not_ready_without_the_database(migrated_url: str) -> None:
    async with behind_proxy(migrated_url) as (web, proxy):
        proxy.cut()
        status, answer = await ask(web, "GET", "/readyz")
        assert (status, answer["status"], answer["provider"]) == (503, "unready", None)
        assert answer["database"] == {"ok": False, "migrated": False}


def lose(database: Database) -> None:
    Path(str(database.url.database)).unlink()


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_not_ready_when_the_file_is_gone(database: Database) -> None:
    async with serving(database) as web:
        lose(database)
        status, answer = await ask(web, "GET", "/readyz")
        assert (status, answer["database"]) == (503, {"ok": False, "migrated": False})


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("pragma", "reason"),
    [("query_only = 1", "attempt to write a readonly database"), ("max_page_count = 1", "database or disk is full")],
)
async def test_not_ready_while_the_file_cannot_be_written(database: Database, pragma: str, reason: str) -> None:
    async with serving(database) as web:

        def limit(connection: Any, *_: Any) -> None:
            connection.cursor().execute(f"PRAGMA {pragma}")

        event.listen(database.engine.sync_engine, "checkout", limit)
        with pytest.raises(DBAPIError):
            async with database.write() as session:
                session.add(Channel(channel_username="x" * 10_000))
        assert database.write_fault == reason
        status, answer = await ask(web, "GET", "/readyz")
        assert (status, answer["database"]) == (503, {"ok": False, "migrated": True})
        event.remove(database.engine.sync_engine, "checkout", limit)
        await database.engine.dispose()
        await database.try_writing()
    assert database.write_fault is None
