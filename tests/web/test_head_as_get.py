"""HEAD is answered where GET is."""

from __future__ import annotations

from storage.db.engine import Database
from tests.web.running import BEARER, PUBLIC_URL, serving


async def test_head_gives_the_headers_of_get(database: Database) -> None:
    async with serving(database) as web:
        link = await web.feeds.link(1, 1001, None)
        assert link is not None
        feed = link.removeprefix(PUBLIC_URL)
        for path in ("/users", "/users/1/posts", "/users/1/posts.ndjson", "/healthz", "/metrics", "/docs", feed):
            got = await web.http.get(web.url + path, headers=BEARER)
            head = await web.http.head(web.url + path, headers=BEARER)
            assert (head.status, await head.read()) == (200, b""), path
            for name in ("Content-Type", "ETag"):
                assert head.headers.get(name) == got.headers.get(name)


async def test_head_is_refused_like_get(database: Database) -> None:
    async with serving(database) as web:
        assert (await web.http.head(f"{web.url}/users")).status == 401
        assert (await web.http.head(f"{web.url}/nothing")).status == 404
        assert (await web.http.head(f"{web.url}/posts/1/regenerate_tags", headers=BEARER)).status == 405
