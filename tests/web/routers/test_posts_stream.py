"""The stream of all posts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from bot.web.routers.posts_stream import PAGE
from storage.db.engine import Database, parse_url
from tests.proxy import proxied
from tests.storage.rows import add_posts
from tests.web.running import BEARER, Web, serving

STREAM = "/users/1/posts.ndjson"
#: More than the buffers between the two ends hold.
LONG = "Длинный текст. " * 600


async def lines(web: Web, path: str = STREAM) -> list[dict[str, Any]]:
    answer = await web.http.get(web.url + path, headers=BEARER)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    body = (await answer.read()).decode()
    assert body == "" or body.endswith("\n")
    return [json.loads(line) for line in body.splitlines()]


async def add(database: Database, count: int, **values: Any) -> None:
    async with database.write() as session:
        await add_posts(session, 1, count, first=1001, **values)


async def test_it_gives_what_the_pages_give(database: Database) -> None:
    async with serving(database) as web:
        await add(database, 2 * PAGE, tagging_status="success", tags=["город"])
        page = await (await web.http.get(f"{web.url}/users/1/posts?limit=1000", headers=BEARER)).json()
        assert await lines(web) == page["posts"]
        assert len(page["posts"]) == 2 * PAGE + 5
        assert [each["id"] for each in await lines(web, f"{STREAM}?status=failed")] == [3]
        assert len(await lines(web, f"{STREAM}?tag=город")) == 2 * PAGE + 2
        assert await lines(web, f"{STREAM}?tag=nothing") == []


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_who_may_not_is_told_before_it_begins(database: Database) -> None:
    async with serving(database) as web:
        for path, headers, status in (
            (STREAM, {}, 401),
            ("/users/99/posts.ndjson", BEARER, 404),
            (f"{STREAM}?status=odd", BEARER, 422),
            (f"{STREAM}?limit=5", BEARER, 422),
        ):
            answer = await web.http.get(web.url + path, headers=headers)
            assert (answer.status, answer.content_type) == (status, "application/json")


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_without_the_database_the_connection_is_cut(migrated_url: str) -> None:
    """Not ended: the reader is to notice that something is missing."""
    async with proxied(migrated_url) as (proxy, address):
        database = Database(parse_url(address))
        try:
            async with serving(database) as web:
                await add(database, 3000, text=LONG)
                answer = await web.http.get(web.url + STREAM, headers=BEARER)
                assert answer.status == 200
                await answer.content.readline()
                proxy.cut()
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.read()
                await proxy.mend()
        finally:
            await database.close()


async def test_who_goes_away_or_does_not_read_holds_nobody_up(database: Database) -> None:
    """What a reader does not take is not read either."""
    async with serving(database) as web:
        await add(database, 3000, text=LONG)
        before = asyncio.all_tasks()
        answers = [await web.http.get(web.url + STREAM, headers=BEARER) for _ in range(6)]
        assert (await web.http.get(f"{web.url}/users/1/posts?limit=1", headers=BEARER)).status == 200
        assert len(await lines(web, "/users/2/posts.ndjson")) == 2
        for answer in answers:
            answer.close()
        async with asyncio.timeout(20):
            while len(asyncio.all_tasks()) > len(before):  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.01)
