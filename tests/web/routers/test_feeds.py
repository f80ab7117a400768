"""Feeds over HTTP."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import structlog
from sqlalchemy import update

from services.accounts.people import People
from services.clock import utc_now
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.web.running import API_TOKEN, PUBLIC_URL, Web, serving

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


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize(
    ("code", "about"), [("ru", "Ваши посты с тегом «город»"), ("en", "Your posts with the tag “город”")]
)
async def test_it_speaks_the_users_language(database: Database, code: str, about: str) -> None:
    async with serving(database) as web:
        await People(database, frozenset(), utc_now).seen(1001, language_code=code, name="Anna", username=None)
        answer = await web.http.get(web.url + await path_of(web, "город"))
        assert ElementTree.fromstring(await answer.read()).findtext("channel/description") == about


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


@pytest.mark.parametrize("api_token", [None, API_TOKEN])
async def test_feeds_are_served_under_the_public_address(database: Database, api_token: str | None) -> None:
    """Or to this machine; and what they call themselves is no caller's word."""
    proxied = {"X-Forwarded-For": "1.2.3.4", "Host": "Bot.example.org:443"}
    async with serving(database, api_token=api_token) as web:
        path = await path_of(web)
        for headers in (proxied, {}):
            answer = await web.http.get(web.url + path, headers=headers)
            assert answer.status == 200
            assert f'href="{PUBLIC_URL}{path}"' in await answer.text()
        for host in ("evil.example", "bot.example.org.evil.example", "bot.example.org@evil.example", ""):
            assert (await web.http.get(web.url + path, headers={**proxied, "Host": host})).status == 404, host
        if api_token is None:
            assert (await web.http.get(f"{web.url}/users", headers=proxied)).status == 403


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_without_a_public_address_there_are_no_feeds(database: Database) -> None:
    async with serving(database) as web:
        path = await path_of(web)
    async with serving(database, public_url=None, fill=False) as web:
        assert (await web.http.get(web.url + path)).status == 404


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
