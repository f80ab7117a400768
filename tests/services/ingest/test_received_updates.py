"""Received updates: an update is stored once, as PostgreSQL can hold it, and pruned when it was handled long ago."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select

from sandbox.provider import ProviderSandbox
from services.clock import utc_now
from services.ingest.received_updates import BadUpdateError, ReceivedUpdates, read
from storage.db.engine import Database, is_unavailable, parse_url
from storage.schema.tables import ReceivedUpdateRow
from tests.services.engine import running

NOW = datetime(2026, 5, 1, tzinfo=UTC)


async def stored(database: Database) -> dict[int, str | None]:
    async with database.read() as session:
        rows = (await session.execute(select(ReceivedUpdateRow).order_by(ReceivedUpdateRow.update_id))).scalars()
        return {row.update_id: row.body for row in rows}


async def test_sent_twice_is_stored_once(database: Database) -> None:
    """Telegram sends again what it has no answer to; the reader hears of the first only."""
    rung: list[None] = []
    updates = ReceivedUpdates(database, lambda: NOW, lambda: rung.append(None))
    await updates.receive(b'{"update_id": 7, "message": {"text": "one"}}')
    await updates.receive(b'{"update_id": 7, "message": {"text": "two"}}')
    assert await stored(database) == {7: '{"update_id":7,"message":{"text":"one"}}'}
    assert len(rung) == 1


async def test_a_handled_update_that_comes_again_is_no_new_one(database: Database) -> None:
    updates = ReceivedUpdates(database, lambda: NOW)
    await updates.receive(b'{"update_id": 7}')
    assert await updates.mark_handled([7]) == 1
    await updates.receive(b'{"update_id": 7}')
    assert await updates.waiting(limit=10, besides=[]) == []
    assert await updates.mark_handled([7, 8]) == 0
    assert await stored(database) == {7: None}


async def test_any_text_is_kept_whole(database: Database) -> None:
    """NUL and halves of surrogate pairs, which PostgreSQL refuses, too; escaped or as they are."""
    updates = ReceivedUpdates(database, lambda: NOW)
    texts = ["\x00", "\ud800", "\udc00x", "Привет 😀", "\\u0000", "'; --"]
    for number, text in enumerate(texts):
        escaped = json.dumps({"update_id": number, "text": text}).encode()
        plain = json.dumps({"update_id": number + 100, "text": text}, ensure_ascii=False)
        await updates.receive(escaped)
        await updates.receive(plain.encode("utf-8", "surrogatepass"))
    waiting = await updates.waiting(limit=100, besides=[])
    assert [update.raw["text"] for update in waiting] == texts * 2
    assert all((body or "").isascii() for body in (await stored(database)).values())


@pytest.mark.parametrize("update_id", [0, 1, -1, 2**63 - 1, -(2**63)])
async def test_ids_of_64_bits(database: Database, update_id: int) -> None:
    await ReceivedUpdates(database, lambda: NOW).receive(json.dumps({"update_id": update_id}).encode())
    assert list(await stored(database)) == [update_id]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\xff\xfe\xff",
        b"{",
        b"5",
        b"null",
        b"[]",
        b'["update_id"]',
        b"{}",
        b'{"update_id": null}',
        b'{"update_id": "7"}',
        b'{"update_id": 7.0}',
        b'{"update_id": true}',
        b'{"update_id": 9223372036854775808}',
        b'{"update_id": -9223372036854775809}',
        b'{"update_id": 1' + b"0" * 5000 + b"}",
        b"[" * 200_000,
        b'{"update_id": 1, "x": ' + b'{"a":' * 100_000,
        b'{"update_id": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_update_is_refused(raw: bytes) -> None:
    with pytest.raises(BadUpdateError):
        read(raw)


async def test_the_database_away_is_told() -> None:
    """So that Telegram is told to send it again."""
    nowhere = Database(parse_url("postgresql://nobody@127.0.0.1:1/nowhere"))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of whichever class
        await ReceivedUpdates(nowhere, utc_now).receive(b'{"update_id": 1}')
    assert is_unavailable(caught.value)
    await nowhere.close()


async def test_the_lowest_come_first(database: Database) -> None:
    """At most so many, and none that is in work."""
    updates = ReceivedUpdates(database, lambda: NOW)
    for number in (5, 3, 9, 1):
        await updates.receive(json.dumps({"update_id": number}).encode())
    assert [update.update_id for update in await updates.waiting(limit=2, besides=[3])] == [1, 5]


async def test_handled_updates_are_pruned_after_a_day(database: Database, provider: ProviderSandbox) -> None:
    """By the daily clean-up; what waits stays, however old."""
    now = utc_now()

    def ago(hours: int) -> datetime:
        return now - timedelta(hours=hours)

    async def handle(updates: ReceivedUpdates, number: int) -> None:
        await updates.receive(json.dumps({"update_id": number}).encode())
        await updates.mark_handled([number])

    for number, hours in ((1, 25), (2, 23), (3, 0)):
        await handle(ReceivedUpdates(database, partial(ago, hours)), number)
    await ReceivedUpdates(database, partial(ago, 90 * 24)).receive(b'{"update_id": 4}')
    async with running(database, provider) as engine:
        await engine.tagging.clean_up()
    assert list(await stored(database)) == [2, 3, 4]
