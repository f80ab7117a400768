"""Feeds over HTTP."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import structlog
from sqlalchemy import update

from storage.database import Database
from storage.models import Post
from tests.web.running import PUBLIC_URL, Web, serving

NO_TIMES = (
    "nonsense",
    "",
    "Thu, 01 Jan 1970 00:00:00 +99999999999999999999",
    "Thu, 99999999999999999999 Jan 1970 00:00:00 GMT",
    "Thu, 01 Jan 0001 00:00:00 +2359",
)


async def path_of(web: Web, tag: str | None = None) -> str:
    """What a proxy passes on of a link."""
    link = await web.feeds.link(1, 1001, tag)
    assert link is not None
    return link.removeprefix(PUBLIC_URL)


async def test_whoever_has_the_link_reads(database: Database) -> None:
    async with serving(database) as web:
        answer = await web.http.get(web.url + await path_of(web))
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/rss+xml; charset=utf-8"
        assert answer.headers["Cache-Control"] == "private, max-age=300"
        assert answer.headers["Last-Modified"].endswith("GMT")
        root = ElementTree.fromstring(await answer.read())
        assert [item.findtext("guid") for item in root.iter("item")] == ["metka-post-2", "metka-post-1"]
        assert root.findtext("channel/link") == PUBLIC_URL
        for tag, count in (("город", 2), ("нет/такого", 0)):
            answer = await web.http.get(web.url + await path_of(web, tag))
            assert (await answer.text()).count("<item>") == count


async def test_what_has_not_changed_is_not_sent_again(database: Database) -> None:
    async with serving(database) as web:
        address = web.url + await path_of(web)
        first = await web.http.get(address)
        known = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
        since = {"If-Modified-Since": first.headers["Last-Modified"]}
        for headers in (known, since):
            answer = await web.http.get(address, headers=headers)
            assert (answer.status, await answer.read()) == (304, b"")
            assert answer.headers["ETag"] == first.headers["ETag"]
        odd = [{"If-Modified-Since": value} for value in NO_TIMES]
        for headers in ({"If-None-Match": '"other"', **since}, *odd):
            assert (await web.http.get(address, headers=headers)).status == 200
        async with database.write() as session:
            await session.execute(update(Post).where(Post.id == 1).values(tags=["река"]))
        assert (await web.http.get(address, headers=known)).status == 200


async def test_everything_else_is_not_there(database: Database) -> None:
    async with serving(database) as web:
        path = await path_of(web)
        for wrong in ("/feeds/", "/feeds/x.xml", path.removesuffix(".xml"), path[:-6] + "0.xml", "/feeds/x/tag.xml"):
            answer = await web.http.get(web.url + wrong)
            assert answer.status == 404, wrong
            assert "detail" in await answer.json()


async def test_through_a_proxy_only_feeds_are_served(database: Database) -> None:
    """Without API_TOKEN: under the public address, or from this machine."""
    proxied = {"X-Forwarded-For": "1.2.3.4", "Host": "bot.example.org"}
    async with serving(database, api_token=None) as web:
        path = await path_of(web)
        assert (await web.http.get(web.url + path, headers=proxied)).status == 200
        assert (await web.http.get(web.url + path)).status == 200
        assert (await web.http.get(web.url + path, headers={**proxied, "Host": "evil.example"})).status == 404
        assert (await web.http.get(f"{web.url}/users", headers=proxied)).status == 403


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_the_secret_stands_in_no_log(database: Database) -> None:
    async with serving(database) as web:
        path = await path_of(web)
        secret = path.split("/")[2].removesuffix(".xml")
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            for asked in (path, f"/{path}", f"/FEEDS/{secret}.xml", f"/feeds/{secret}/%0A.xml"):
                await web.http.get(web.url + asked)
        assert lines
        assert secret not in str(lines)
        assert {"/feeds/***", "//feeds/***", "/FEEDS/***"} == {line["path"] for line in lines if "path" in line}
        assert secret not in await (await web.http.get(f"{web.url}/metrics")).text()
