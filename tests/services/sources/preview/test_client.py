"""The preview as a source, over real HTTP to its stand-in."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from yarl import URL

from sandbox.preview import PreviewSandbox
from sandbox.preview.faults import FAULTS
from sandbox.servers import serve
from services.sources.base import (
    Delivery,
    SourceError,
    SourceGoneError,
    SourceUnavailableError,
    SourceUnreadableError,
)
from services.sources.preview.client import PreviewClient
from services.sources.preview.responses import Renamed, redirected, seconds_to_wait

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAST = 10_000.0


@pytest.fixture
async def client(preview: PreviewSandbox) -> AsyncIterator[PreviewClient]:
    source = PreviewClient("1.2", preview.url, requests_per_second=FAST, timeout=5, clock=lambda: NOW)
    yield source
    await source.aclose()


async def all_of(client: PreviewClient, name: str, position: int = 0) -> list[Delivery]:
    return [delivery async for delivery in client.channel(name).deliveries(position)]


def numbers(delivery: Delivery) -> list[int]:
    return [post.message_id for post in delivery.posts]


async def test_pages_come_newest_first_until_the_beginning(preview: PreviewSandbox, client: PreviewClient) -> None:
    """Each tells its channel, that it is whole, and from where to go on."""
    preview.channel("durov", "Durov's <Channel>").posts(*(f"post {n}" for n in range(1, 46)))
    found = await all_of(client, "durov")
    assert [numbers(delivery) for delivery in found] == [list(range(26, 46)), list(range(6, 26)), list(range(1, 6))]
    assert [delivery.position for delivery in found] == [26, 6, 1]
    assert all(delivery.is_whole for delivery in found)
    channel = found[0].channel
    assert (channel.telegram_id, channel.username, channel.title) == (None, "durov", "Durov's <Channel>")
    assert [record.before for record in preview.requests] == [None, 26, 6]


async def test_it_goes_on_from_a_position(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("durov").posts(*(f"post {n}" for n in range(1, 46)))
    assert [numbers(delivery) for delivery in await all_of(client, "durov", 6)] == [[1, 2, 3, 4, 5]]
    assert await all_of(client, "durov", 1) == []


async def test_only_what_is_taken_is_asked_for(preview: PreviewSandbox, client: PreviewClient) -> None:
    """Who has enough after the newest page costs the server one request."""
    preview.channel("durov").posts(*map(str, range(50)))
    async with aclosing(client.channel("durov").deliveries()) as deliveries:
        await anext(deliveries)
    assert len(preview.requests) == 1


async def test_every_kind_of_post_is_told_apart(preview: PreviewSandbox, client: PreviewClient) -> None:
    """Albums are one post with members; gaps and service messages are no posts; media alone have no text."""
    channel = preview.channel("durov")
    channel.post("Channel created", kind="service")
    channel.post("Привет 🙂\n\nhttps://example.com #tag <b>&amp;")
    channel.gap(3)
    channel.album("Three photos", 3)
    channel.poll("Tea or coffee?", "Tea", "Coffee")
    for kind in ("nested", "reply", "forwarded", "photo", "video", "document"):
        channel.post(f"words of a {kind}", kind=kind)
    for kind in ("photo", "sticker", "unsupported"):
        channel.post(kind=kind)
    [delivery] = await all_of(client, "durov")
    assert delivery.skipped == {"service": 1}
    assert [(post.message_id, post.text, post.members) for post in delivery.posts] == [
        (2, "Привет 🙂\n\nhttps://example.com #tag <b>&amp;", ()),
        (6, "Three photos", (6, 7, 8)),
        (9, "Tea or coffee?\n— Tea\n— Coffee", ()),
        (10, "words of a nested", ()),
        (11, "words of a reply", ()),
        (12, "words of a forwarded", ()),
        (13, "words of a photo", ()),
        (14, "words of a video", ()),
        (15, "words of a document", ()),
        (16, None, ()),
        (17, None, ()),
        (18, None, ()),
    ]
    assert [post.message_id for post in delivery.posts if not post.is_supported] == [18]


async def test_an_empty_channel_gives_its_title(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("fresh", "Fresh")
    [delivery] = await all_of(client, "fresh")
    assert (delivery.channel.title, delivery.posts, delivery.position) == ("Fresh", [], 0)


async def test_what_has_not_changed_is_not_sent_again(preview: PreviewSandbox, client: PreviewClient) -> None:
    """The newest page is asked for with what the server said of the last one; an edit brings it again."""
    channel = preview.channel("durov")
    channel.post("one")
    assert len(await all_of(client, "durov")) == 1
    assert await all_of(client, "Durov") == []
    channel.edit(1, "two")
    [delivery] = await all_of(client, "durov")
    assert delivery.posts[0].text == "two"
    assert [record.status for record in preview.requests] == [200, 304, 200]
    assert "If-None-Match" not in preview.requests[0].headers


async def test_what_was_forgotten_is_delivered_again(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("durov").post("one")
    await all_of(client, "durov")
    client.forget("DUROV")
    assert len(await all_of(client, "durov")) == 1


async def test_a_renamed_channel_is_remembered_by_the_name_that_was_asked_for(
    preview: PreviewSandbox, client: PreviewClient
) -> None:
    """Whoever could not store its new name gets it again."""
    preview.channel("old").post("one")
    preview.rename("old", "new")
    await all_of(client, "old")
    assert await all_of(client, "old") == []
    client.forget("old")
    [delivery] = await all_of(client, "old")
    assert delivery.channel.username == "new"


async def test_a_page_that_could_not_be_read_is_asked_for_anew(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("durov").post("odd", kind="unknown")
    for _ in range(2):
        with pytest.raises(SourceUnreadableError, match="message 1"):
            await all_of(client, "durov")
    assert [record.status for record in preview.requests] == [200, 200]


async def test_older_pages_are_asked_for_without_conditions(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("durov").posts(*map(str, range(30)))
    await all_of(client, "durov")
    assert len(await all_of(client, "durov", 11)) == 1


async def test_a_renamed_channel_is_read_under_its_new_name(preview: PreviewSandbox, client: PreviewClient) -> None:
    """The delivery tells the name, and so does that of every older page."""
    preview.channel("old").posts(*map(str, range(25)))
    preview.rename("old", "New_One")
    found = await all_of(client, "old")
    assert [delivery.channel.username for delivery in found] == ["New_One", "New_One"]
    assert [record.channel for record in preview.requests] == ["old", "New_One", "New_One"]


async def test_the_name_is_the_one_on_the_page(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("Durov").post("x")
    [delivery] = await all_of(client, "dUROV")
    assert delivery.channel.username == "Durov"


async def test_no_channel_and_no_preview_are_gone(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("secret").has_preview = False
    for name in ("missing", "secret", "no such/name", "", "имя"):
        with pytest.raises(SourceGoneError):
            await all_of(client, name)


GONE, UNAVAILABLE, UNREADABLE = SourceGoneError, SourceUnavailableError, SourceUnreadableError


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("404", GONE),
        ("429", UNAVAILABLE),
        ("403", UNAVAILABLE),
        ("500", UNAVAILABLE),
        ("502", UNAVAILABLE),
        ("503", UNAVAILABLE),
        ("204", UNAVAILABLE),
        ("304", UNAVAILABLE),
        ("drop", UNAVAILABLE),
        ("truncated", UNAVAILABLE),
        ("not_http", UNAVAILABLE),
        ("not_gzip", UNAVAILABLE),
        ("loop", UNAVAILABLE),
        ("elsewhere", UNAVAILABLE),
        ("nowhere", UNAVAILABLE),
        ("bad_location", UNAVAILABLE),
        ("not_utf8", UNREADABLE),
        ("garbage", UNREADABLE),
        ("empty", UNREADABLE),
        ("oversized", UNREADABLE),
        ("changed", UNREADABLE),
        ("renamed_classes", UNREADABLE),
        ("no_numbers", UNREADABLE),
        ("no_times", UNREADABLE),
    ],
)
async def test_every_fault_is_told_as_what_it_is(
    preview: PreviewSandbox, client: PreviewClient, fault: str, error: type[SourceError]
) -> None:
    """None gives posts, none is remembered, and the next request is served."""
    preview.channel("durov").post("private words")
    preview.fail_next(fault, 5 if fault == "loop" else 1)
    with pytest.raises(SourceError) as caught:
        await all_of(client, "durov")
    assert type(caught.value) is error
    assert "private" not in str(caught.value)
    assert len(await all_of(client, "durov")) == 1


def test_each_fault_of_the_stand_in_is_tried() -> None:
    marks = test_every_fault_is_told_as_what_it_is.pytestmark  # type: ignore[attr-defined]
    assert {fault for fault, _ in marks[0].args[1]} == set(FAULTS) - {"hang"}


async def test_a_server_that_hangs_is_unavailable(preview: PreviewSandbox) -> None:
    client = PreviewClient("1", preview.url, timeout=0.05)
    preview.fail_next("hang")
    with pytest.raises(SourceUnavailableError, match="in time"):
        await all_of(client, "durov")
    await client.aclose()


async def test_nobody_there_is_unavailable(preview: PreviewSandbox) -> None:
    client = PreviewClient("1", "http://127.0.0.1:1")
    with pytest.raises(SourceUnavailableError):
        await all_of(client, "durov")
    await client.aclose()
    with pytest.raises(SourceUnavailableError, match="closed"):
        await all_of(client, "durov")


async def test_a_server_that_asks_to_wait_is_understood(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("durov").post("x")
    preview.fail_next("429", Retry_After="17")
    with pytest.raises(SourceUnavailableError) as caught:
        await all_of(client, "durov")
    assert caught.value.retry_after == 17


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("17", 17.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("999999999", 3600.0),
        ("inf", 3600.0),
        ("nan", None),
        ("", None),
        (None, None),
        ("soon", None),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), 300.0),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), 0.0),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("9" * 100_000, 3600.0),
    ],
)
def test_how_long_to_wait(written: str | None, seconds: float | None) -> None:
    assert seconds_to_wait(written, NOW) == seconds


@pytest.mark.parametrize(
    ("location", "meant"),
    [
        ("/s/other", Renamed("other")),
        ("https://t.me/s/other", Renamed("other")),
        ("http://here:8080/tme/s/other?before=5", Renamed("other")),
        ("other", Renamed("other")),
        ("/durov", SourceGoneError),
        ("https://t.me/durov", SourceGoneError),
        ("/s/../etc", SourceGoneError),
        ("/s/durov/1", SourceGoneError),
        ("https://evil.example/s/other", SourceUnavailableError),
        ("javascript:alert(1)", SourceUnavailableError),
        ("", SourceUnavailableError),
        ("http://[half", SourceUnavailableError),
    ],
)
def test_of_a_redirect_only_the_name_is_taken(location: str, meant: object) -> None:
    base = URL("http://here:8080/tme")
    found = redirected(base, base / "s" / "durov", location)
    assert found == meant or type(found) is meant


async def test_no_other_host_is_ever_asked(preview: PreviewSandbox) -> None:
    """Not even one that shows a preview at the same path."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(
            status=302, headers={"Location": f"{preview.url.replace('127.0.0.1', 'localhost')}/s/durov"}
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serve(app) as url:
        client = PreviewClient("1", url, requests_per_second=FAST)
        with pytest.raises(SourceUnavailableError):
            await all_of(client, "durov")
        await client.aclose()
    assert (asked, preview.requests) == (["/s/durov"], [])


async def test_a_server_that_ignores_where_to_go_on_is_not_asked_for_ever(
    preview: PreviewSandbox, client: PreviewClient
) -> None:
    preview.channel("durov").posts(*map(str, range(50)))
    preview.ignores_before = True
    with pytest.raises(SourceUnreadableError, match="older"):
        await all_of(client, "durov")
    assert len(preview.requests) == 2


async def test_a_bomb_is_not_unpacked_further_than_a_page(preview: PreviewSandbox) -> None:
    """200 MB in some kilobytes: what is unpacked counts."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(200)) + packer.flush()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/s/durov", answer)
    async with serve(app) as url:
        client = PreviewClient("1", url)
        with pytest.raises(SourceUnreadableError, match="larger"):
            await all_of(client, "durov")
        await client.aclose()


async def test_the_server_is_told_who_reads(preview: PreviewSandbox, client: PreviewClient) -> None:
    preview.channel("durov").post("x")
    await all_of(client, "durov")
    named = PreviewClient("1.3", preview.url, about="https://t.me/metka_bot")
    await all_of(named, "durov")
    await named.aclose()
    assert [record.headers["User-Agent"] for record in preview.requests] == [
        "Metka/1.2 (self-hosted; reads public previews)",
        "Metka/1.3 (+https://t.me/metka_bot; reads public previews)",
    ]


async def test_the_pace_is_that_of_all_channels_together(preview: PreviewSandbox) -> None:
    """However many are read at once, with redirects and older pages, requests keep their distance."""
    for name in ("a", "b", "c"):
        preview.channel(name).post("x")
    preview.channel("old").posts(*map(str, range(25)))
    preview.rename("old", "new")
    client = PreviewClient("1", preview.url, requests_per_second=20)
    begun = time.monotonic()
    await asyncio.gather(*(all_of(client, name) for name in ("a", "b", "c", "old")))
    await client.aclose()
    assert len(preview.requests) == 6
    # Five times the distance lies between the first and the last, however slow the machine is.
    assert time.monotonic() - begun >= 5 / 20
