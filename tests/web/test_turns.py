"""Bodies that come slowly, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import structlog

from bot.web.protocol import Limits
from bot.web.turns import BODIES, BODIES_OF_ONE, SLOTS
from storage.db.engine import Database
from tests.storage.rows import add_user
from tests.web.running import API_TOKEN, BEARER, Web, serving
from tests.web.test_intake import post as new_post
from tests.web.wire import Client, Connection, answered, post, rest

BODY = json.dumps({"posts": [new_post(1)]}).encode()
PATH = "/users/1/posts"

pytestmark = pytest.mark.parametrize("backend", ["sqlite"])


@asynccontextmanager
async def connecting(database: Database, limits: Limits | None = None) -> AsyncIterator[tuple[Web, Client]]:
    """Who would wait is told soon."""
    async with serving(database, patience_seconds=0.2, limits=limits) as web:
        client = Client(urlsplit(web.url).port or 0)
        try:
            yield web, client
        finally:
            client.close()


async def begun(client: Client, token: str = API_TOKEN, path: str = PATH) -> Connection:
    """The server asks for the body, and half of it is sent."""
    headers = (f"Authorization: Bearer {token}", f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    reader, writer = await client.open(post(path, *headers))
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 100"), head
    writer.write(BODY[:10])
    return reader, writer


async def test_who_sends_slowly_keeps_nobody_from_work(database: Database) -> None:
    async with connecting(database) as (web, client):
        async with database.write() as session:
            await add_user(session, 3)
        tokens = [await web.tokens.create(1001), await web.tokens.create(1002)]
        slow = [await begun(client, token, f"/users/{number}/posts") for number, token in enumerate(tokens, 1)]
        slow += [await begun(client) for _ in range(BODIES_OF_ONE)]
        assert len(slow) == BODIES > SLOTS
        for _ in range(SLOTS):
            assert (await web.http.get(web.url + PATH, headers=BEARER)).status == 200
        # A further body finds no room, whoever sends it.
        other = {"Authorization": f"Bearer {await web.tokens.create(1003)}"}
        assert (await web.http.post(f"{web.url}/users/3/posts", data=BODY, headers=other)).status == 503
        for reader, writer in slow:
            writer.write(BODY[10:])
            assert (await answered(reader))[0] == 202
        assert (await web.http.post(f"{web.url}/users/3/posts", data=BODY, headers=other)).status == 202


async def test_of_one_caller_a_few_bodies_come_at_once(database: Database) -> None:
    async with connecting(database) as (web, client):
        slow = [await begun(client) for _ in range(BODIES_OF_ONE)]
        answer = await web.http.post(web.url + PATH, data=BODY, headers=BEARER)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        mine = {"Authorization": f"Bearer {await web.tokens.create(1002)}"}
        assert (await web.http.post(f"{web.url}/users/2/posts", data=BODY, headers=mine)).status == 202
        for _, writer in slow:
            writer.transport.abort()
        # Who goes away makes room.
        for _ in range(BODIES * 2):
            reader, writer = await begun_again(client)
            writer.write(BODY[10:])
            assert (await answered(reader))[0] == 202


async def begun_again(client: Client) -> Connection:
    """As soon as the server knows who has gone."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await begun(client)
            except AssertionError:
                continue


async def test_a_body_that_takes_too_long_is_no_failure(database: Database) -> None:
    async with connecting(database, Limits(body_seconds=0.1)) as (_, client):
        with structlog.testing.capture_logs() as lines:
            reader, _writer = await begun(client)
            assert await rest(reader) == b""
            async with asyncio.timeout(20):
                while not any(line["event"] == "http_request" for line in lines):  # noqa: ASYNC110 - told nobody else
                    await asyncio.sleep(0.01)
        assert [(line["event"], line["log_level"]) for line in lines] == [
            ("http_broken_off", "debug"),
            ("http_request", "debug"),
        ]
