"""The rate limit per address."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from bot.web.rate_limit import ADDRESSES_KEPT, BURST, AddressRateLimit
from storage.db.engine import Database
from tests.web.running import BEARER, serving

#: Requests a second: nobody gets a second chance within a test.
NEVER = 0.0001


async def test_above_the_rate_requests_are_refused(database: Database) -> None:
    async with serving(database, rate=5) as web:
        answers = await asyncio.gather(*(web.http.get(f"{web.url}/users", headers=BEARER) for _ in range(60)))
        assert {answer.status for answer in answers} == {200, 429}
        refused = next(answer for answer in answers if answer.status == 429)
        assert refused.headers["Retry-After"] == "1"
        assert "slow down" in (await refused.json())["detail"]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_health_is_never_refused(database: Database) -> None:
    async with serving(database, rate=NEVER) as web:
        for path in ("/healthz", "/readyz"):
            answers = [await web.http.get(web.url + path) for _ in range(BURST + 1)]
            assert {answer.status for answer in answers} == {200}
        assert (await web.http.get(f"{web.url}/users", headers=BEARER)).status == 200


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def call(app: AddressRateLimit, client: str) -> int:
    statuses = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request"}

    await app({"type": "http", "client": (client, 1)}, receive, send)
    return int(statuses[0])


async def test_each_address_is_counted_apart() -> None:
    app = AddressRateLimit(ok, lambda _scope: False, NEVER)
    for client in ("10.0.0.1", "2001:db8::1"):
        assert [await call(app, client) for _ in range(BURST + 1)] == [200] * BURST + [429]


async def test_the_addresses_in_memory_are_bounded() -> None:
    """An address that was not seen for a long time begins anew."""
    app = AddressRateLimit(ok, lambda _scope: False, NEVER)
    assert [await call(app, "10.0.0.1") for _ in range(BURST + 1)][-1] == 429
    for number in range(ADDRESSES_KEPT):
        await call(app, f"10.1.{number // 256}.{number % 256}")
    assert await call(app, "10.0.0.1") == 200
