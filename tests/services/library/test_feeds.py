"""Feeds: who can read which posts, and the RSS document."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import update

from services.accounts.people import People
from services.library.export import ExportedPost
from services.library.feeds import MAX_POSTS, Feed, Feeds, feed_path
from services.library.rss import document
from storage.db.engine import Database
from storage.schema.tables import Post, User
from tests.storage.rows import NOW, add_posts, add_user

URL = "https://bot.example.org"
TAGGED: dict[str, Any] = {"tagging_status": "success", "tags": ["город"]}


def make(database: Database, url: str | None = URL) -> Feeds:
    return Feeds(database, People(database, frozenset(), lambda: NOW), url, lambda: NOW)


async def secret(feeds: Feeds) -> str:
    link = await feeds.link(1, 1001)
    assert link is not None
    return link.removeprefix(f"{URL}/feeds/").removesuffix(".xml")


async def fill(database: Database) -> None:
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 60, **TAGGED)
        await add_posts(session, 1, 30, first=101)
        await add_posts(session, 2, 1, first=201, **TAGGED)
        # New tags are wanted; the old ones stay meanwhile.
        values = {"tags": ["река", "город"], "tagging_status": "pending"}
        await session.execute(update(Post).where(Post.id == 60).values(**values))


async def test_the_newest_tagged_posts_of_a_user(database: Database) -> None:
    await fill(database)
    feeds = make(database)
    word = await secret(feeds)
    whole, one = await feeds.read(word, None), await feeds.read(word, "река")
    assert whole is not None
    assert one is not None
    assert [post.id for post in whole.posts] == list(range(60, 60 - MAX_POSTS, -1))
    assert [post.id for post in one.posts] == [60]
    assert whole.changed_at == whole.posts[0].posted_at
    for tag in ("другой", "a\x00b", "рек", "%"):
        found = await feeds.read(word, tag)
        assert found is not None
        assert found.posts == []


async def test_a_link_stays_until_there_is_a_new_one(database: Database) -> None:
    await fill(database)
    feeds = make(database)
    first = await secret(feeds)
    assert await secret(feeds) == first
    await feeds.renew(1, 1001)
    second = await secret(feeds)
    assert second != first
    assert await feeds.read(first, None) is None
    assert await feeds.read(second, None) is not None


@pytest.mark.parametrize("change", [str.swapcase, lambda word: word[:-1], lambda word: word[:11] + "a" * 32])
async def test_no_other_word_opens_it(database: Database, change: Any) -> None:
    await fill(database)
    feeds = make(database)
    word = await secret(feeds)
    assert await feeds.read(change(word), None) is None
    assert await feeds.read("", None) is None


async def test_who_may_not_use_the_bot_has_no_feed(database: Database) -> None:
    await fill(database)
    feeds = make(database)
    word = await secret(feeds)
    async with database.write() as session:
        await session.execute(update(User).where(User.id == 1).values(is_active=False))
    assert await feeds.read(word, None) is None


async def test_a_number_that_passed_on_to_another_person_opens_nothing(database: Database) -> None:
    await fill(database)
    feeds = make(database)
    word = await secret(feeds)
    async with database.write() as session:
        await session.execute(update(User).where(User.id == 1).values(telegram_id=4444))
    assert await feeds.read(word, None) is None


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_links(database: Database) -> None:
    await fill(database)
    assert await make(database, None).link(1, 1001) is None
    assert feed_path("S", "городские новости/1") == (
        "S/%D0%B3%D0%BE%D1%80%D0%BE%D0%B4%D1%81%D0%BA%D0%B8%D0%B5%20%D0%BD%D0%BE%D0%B2%D0%BE%D1%81%D1%82%D0%B8%2F1.xml"
    )


def told(**values: Any) -> ExportedPost:
    known = {"channel_username": "news", "channel_title": "Новости", "telegram_message_id": 5, "url": None}
    at = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    rest = {"id": 7, "posted_at": at, "text": "Текст", "tags": ["a"], "status": "success", "views": 1}
    return ExportedPost(**{**known, **rest, **values})


def item(post: ExportedPost) -> ElementTree.Element:
    made = document(Feed([post], None, NOW, "en"), URL, f"{URL}/feeds/S.xml", "Posts")
    found = ElementTree.fromstring(made).find("channel/item")
    assert found is not None
    return found


def test_an_item() -> None:
    found = item(told(text="Первая <b>\nвторая & третья", url="https://t.me/news/5", tags=["город", "x<y"]))
    texts = {name: found.findtext(name) for name in ("title", "link", "description", "pubDate", "guid")}
    assert texts == {
        "title": "Первая <b>",
        "link": "https://t.me/news/5",
        "description": "Первая &lt;b&gt;<br>\nвторая &amp; третья",
        "pubDate": "Sat, 31 Jan 2026 12:00:00 +0000",
        "guid": "https://t.me/news/5",
    }
    assert [each.text for each in found.findall("category")] == ["город", "x<y"]


def test_an_item_without_an_address_or_text() -> None:
    found = item(told(text=None, url="javascript:alert(1)", posted_at=None))
    guid = found.find("guid")
    assert guid is not None
    assert (guid.text, guid.attrib) == ("metka-post-7", {"isPermaLink": "false"})
    assert (found.findtext("link"), found.findtext("title"), found.find("pubDate")) == (URL, "Новости", None)


def test_a_long_title_is_cut() -> None:
    title = item(told(text="\n \n" + "слово " * 50)).findtext("title")
    assert title is not None
    assert len(title) <= 100
    assert title == "слово " * 16 + "сло…"


def test_what_xml_cannot_hold_is_left_out() -> None:
    found = item(told(text="a\x00\x0b\x1b\ufffe\ud800b", tags=["c\x01d"], channel_title="\x02"))
    assert (found.findtext("title"), found.findtext("category")) == ("ab", "cd")


def test_an_item_names_its_channel() -> None:
    creator = "{http://purl.org/dc/elements/1.1/}creator"
    assert item(told()).findtext(creator) == "Новости"
    assert item(told(channel_title=None)).findtext(creator) == "news"
    assert item(told(channel_title=None, channel_username=None)).find(creator) is None


def test_a_feed_is_dated_by_what_changed_in_it() -> None:
    """A feed without posts by its creation: the document does not change."""
    empty = Feed([], "тег", NOW, "ru")
    made = document(empty, URL, f"{URL}/feeds/S.xml", "Посты с тегом «тег»\x00")
    assert made == document(empty, URL, f"{URL}/feeds/S.xml", "Посты с тегом «тег»")
    root = ElementTree.fromstring(made)
    assert root.findtext("channel/lastBuildDate") == format_datetime(NOW)
    assert root.findtext("channel/title") == "Metka: тег"
    assert root.findtext("channel/description") == "Посты с тегом «тег»"


async def test_without_posts_it_is_as_old_as_the_link(database: Database) -> None:
    await fill(database)
    feeds = make(database)
    found = await feeds.read(await secret(feeds), "нет")
    assert found is not None
    assert (found.changed_at, await feeds.has_posts(1, "нет"), await feeds.has_posts(1, "город")) == (NOW, False, True)
