"""Telegram's way in over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from bot.web.body_limit import MAX_BODY
from bot.web.routers.webhook import SECRET_HEADER, TelegramWebhook
from services.ingest.received_updates import ReceivedUpdates
from storage.db.engine import Database
from tests.storage.rows import NOW
from tests.web.running import Web, serving

SECRET = {SECRET_HEADER: "a-secret_1"}


@pytest.fixture
async def web(database: Database) -> AsyncIterator[Web]:
    inbox = ReceivedUpdates(database, lambda: NOW)
    webhook = TelegramWebhook("/hooks/telegram", "a-secret_1", inbox.receive)
    async with serving(database, webhook=webhook, rate=5) as made:
        yield made


async def post(web: Web, body: bytes, headers: dict[str, str]) -> int:
    return (await web.http.post(f"{web.url}/hooks/telegram", data=body, headers=headers)).status


async def stored(database: Database) -> list[int]:
    async with database.read() as session:
        return list((await session.execute(text("SELECT update_id FROM metka_updates ORDER BY 1"))).scalars())


async def test_an_update_is_stored_once(database: Database, web: Web) -> None:
    for update_id in (1, 2, 2, 1):
        assert await post(web, json.dumps({"update_id": update_id}).encode(), SECRET) == 200
    assert await stored(database) == [1, 2]


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """Sent without a length."""
    yield body[:1000]
    yield body[1000:]


@pytest.mark.parametrize("headers", [{}, {SECRET_HEADER: ""}, {SECRET_HEADER: "a-secret_"}, {SECRET_HEADER: "\xff"}])
async def test_without_the_secret_nothing_is_taken(database: Database, web: Web, headers: dict[str, str]) -> None:
    assert await post(web, b'{"update_id": 1}', headers) == 401
    assert await stored(database) == []


async def test_what_is_no_update_is_not_sent_again(database: Database, web: Web) -> None:
    for body in (b"", b"[]", b"\xff", b'{"update_id": "1"}', b"[" * 100_000):
        assert await post(web, body, SECRET) == 200
    assert await stored(database) == []


async def test_a_large_body_is_refused(database: Database, web: Web) -> None:
    large = b" " * (MAX_BODY + 1)
    assert await post(web, large, SECRET) == 413
    answer = await web.http.post(f"{web.url}/hooks/telegram", data=in_pieces(large), headers=SECRET)
    assert (answer.status, "detail" in await answer.json()) == (413, True)
    assert await post(web, b'{"update_id": 7}' + b" " * (MAX_BODY - 100), SECRET) == 200
    assert await stored(database) == [7]


async def test_telegram_does_not_stand_in_line(database: Database, web: Web) -> None:
    """Not even above the rate at which others are refused."""
    bodies = [json.dumps({"update_id": update_id}).encode() for update_id in range(60)]
    assert set(await asyncio.gather(*(post(web, body, SECRET) for body in bodies))) == {200}
    assert len(await stored(database)) == 60
    strangers = await asyncio.gather(*(post(web, body, {}) for body in bodies))
    assert set(strangers) == {401, 429}


async def test_other_methods_are_none_of_its(web: Web) -> None:
    assert (await web.http.get(f"{web.url}/hooks/telegram", headers=SECRET)).status == 405
