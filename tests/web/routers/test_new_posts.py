"""Posts that other programs hand in over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select

from storage.db.engine import Database
from storage.queue.claim import Priority
from storage.schema.tables import Channel, Post
from tests.storage.rows import get_post
from tests.web.running import BEARER, Web, serving

MIB = 1024 * 1024
NEWS = -1001234567890


def post(number: int, **values: Any) -> dict[str, Any]:
    """A post of the channel NEWS."""
    return {
        "channel_id": NEWS,
        "telegram_message_id": number,
        "text": f"Новость {number}",
        "posted_at": "2026-02-03T10:00:00+03:00",
        **values,
    }


def named(number: int, name: str, **values: Any) -> dict[str, Any]:
    """A post of a channel that is known by its name alone."""
    made = post(number, channel_username=name, **values)
    del made["channel_id"]
    return made


async def hand_in(web: Web, posts: Any, user_id: int = 1) -> tuple[int, Any]:
    answer = await web.http.post(f"{web.url}/users/{user_id}/posts", json={"posts": posts}, headers=BEARER)
    return answer.status, await answer.json()


async def pieces(count: int) -> AsyncIterator[bytes]:
    """A body whose length nobody announces."""
    for _ in range(count):
        yield b" " * MIB


async def count(database: Database, of: Any) -> int:
    async with database.read() as session:
        return (await session.execute(select(func.count()).select_from(of))).scalar_one()


async def test_new_known_and_edited(database: Database) -> None:
    async with serving(database) as web:
        more = {"channel_title": "Новости", "channel_username": "@City_News", "url": "https://t.me/City_News/7"}
        status, answer = await hand_in(web, [post(7, **more, views=12), post(8, text=None)])
        assert status == 202
        assert web.woken.is_set()
        first, second = answer["posts"]
        numbers = {"received": 2, "new": 2, "known": 0, "edited": 0, "queued": 1}
        assert answer == {"user_id": 1, "status": "queued", **numbers, "posts": [first, second]}
        assert (first["telegram_message_id"], first["status"]) == (7, "new")
        stored = await get_post(database, first["post_id"])
        assert (stored.user_id, stored.channel_id, stored.text) == (1, first["channel_id"], "Новость 7")
        assert (stored.url, stored.views, stored.work_class) == ("https://t.me/City_News/7", 12, Priority.FRESH)
        assert stored.posted_at.isoformat() == "2026-02-03T07:00:00+00:00"
        assert (await get_post(database, second["post_id"])).tagging_status == "skipped"

        _, answer = await hand_in(web, [post(8), post(7), post(9)])
        assert [each["status"] for each in answer["posts"]] == ["edited", "known", "new"]
        assert [each["post_id"] for each in answer["posts"]][:2] == [second["post_id"], first["post_id"]]
        assert (answer["new"], answer["known"], answer["edited"], answer["queued"]) == (1, 1, 1, 2)
        web.woken.clear()
        assert (await hand_in(web, [post(7), post(8), post(9)]))[1]["known"] == 3
        assert not web.woken.is_set()


async def test_one_channel_by_all_its_names(database: Database) -> None:
    """Its number as the Bot API gives it, the bare one, and its public name in any case."""
    async with serving(database) as web:
        given = [post(1), post(2, channel_id=1234567890), named(3, "citynews"), post(4, channel_username="CityNews")]
        _, answer = await hand_in(web, [*given, named(1, "@CITYNEWS")])
        assert len({each["channel_id"] for each in answer["posts"]}) == 1
        assert (answer["received"], answer["new"]) == (5, 4)
        async with database.read() as session:
            channel = await session.get(Channel, answer["posts"][0]["channel_id"])
        assert channel is not None
        assert (channel.channel_id, channel.channel_username) == (NEWS, "CityNews")


async def test_a_title_that_is_not_given_stays(database: Database) -> None:
    async with serving(database) as web:
        await hand_in(web, [named(1, "citynews", channel_title="Город"), named(2, "citynews")])
        _, answer = await hand_in(web, [named(3, "citynews")])
        _, untitled = await hand_in(web, [named(3, "othernews")])
        async with database.read() as session:
            channel = await session.get(Channel, answer["posts"][0]["channel_id"])
            other = await session.get(Channel, untitled["posts"][0]["channel_id"])
        assert channel is not None
        assert other is not None
        assert (channel.channel_title, other.channel_title) == ("Город", "othernews")


async def test_of_doubles_in_one_call_the_last_counts(database: Database) -> None:
    async with serving(database) as web:
        _, answer = await hand_in(web, [post(1, text="first"), post(2), post(1, text="last")])
        assert [each["telegram_message_id"] for each in answer["posts"]] == [1, 2, 1]
        assert (answer["received"], answer["new"], answer["posts"][0]) == (3, 2, answer["posts"][2])
        assert (await get_post(database, answer["posts"][0]["post_id"])).text == "last"


async def test_handed_in_many_times_at_once_it_is_stored_once(database: Database) -> None:
    """Also under different names of the channel, and in another order."""
    async with serving(database) as web:
        await hand_in(web, [post(1, channel_username="citynews")])
        other = [named(number, "other") for number in range(1, 20)]
        calls = [
            [post(number) for number in range(1, 20)] + other,
            other + [named(number, "CityNews") for number in range(1, 20)],
        ]
        answers = await asyncio.gather(*(hand_in(web, calls[turn % 2]) for turn in range(8)))
        assert [status for status, _ in answers] == [202] * 8
        assert sum(answer["new"] for _, answer in answers) == 18 + 19
        assert await count(database, Post) == 7 + 19 + 19


async def test_the_same_post_is_stored_for_each_user(database: Database) -> None:
    async with serving(database) as web:
        (_, mine), (_, theirs) = await hand_in(web, [post(1)]), await hand_in(web, [post(1)], user_id=2)
        assert (mine["new"], theirs["new"]) == (1, 1)
        assert mine["posts"][0]["channel_id"] == theirs["posts"][0]["channel_id"]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"channel_id": -12345}, "channel_id"),
        ({"channel_id": "-1001234567890"}, "channel_id"),
        ({"channel_id": 10**12}, "channel_id"),
        ({"channel_id": None}, None),
        ({"channel_username": "a b"}, "channel_username"),
        ({"telegram_message_id": 0}, "telegram_message_id"),
        ({"telegram_message_id": True}, "telegram_message_id"),
        ({"telegram_message_id": 2**63}, "telegram_message_id"),
        ({"text": "a" * 65_537}, "text"),
        ({"text": 5}, "text"),
        ({"posted_at": "yesterday"}, "posted_at"),
        ({"posted_at": 1767225600}, "posted_at"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"views": -1}, "views"),
        ({"views": 2**31}, "views"),
        ({"tags": ["a"]}, "tags"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_the_field_at_fault_is_named_and_nothing_stored(
    database: Database, bad: dict[str, Any], field: str | None
) -> None:
    async with serving(database) as web:
        status, answer = await hand_in(web, [post(1), {**post(2), **bad}])
        place = ["body", "posts", 1, *([field] if field else [])]
        assert (status, [each["loc"] for each in answer["detail"]]) == (422, [place])
        assert await count(database, Post) == 7


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_what_is_no_list_of_posts_is_refused(database: Database) -> None:
    async with serving(database) as web:
        wrong = [b"", b"{", b"[]", b'{"posts": []}', b'{"posts": 1}', b'{"posts": [1]}', b'{"posts": [], "more": 1}']
        deep = b'{"posts":' + b"[" * 100_000
        without = {**post(1)}
        del without["text"]
        for body in [*wrong, deep, json.dumps({"posts": [without]}).encode()]:
            answer = await web.http.post(f"{web.url}/users/1/posts", data=body, headers=BEARER)
            assert (answer.status, bool((await answer.json())["detail"])) == (422, True), body


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_thousand_fit_and_no_more(database: Database) -> None:
    """Of Telegram's longest, with every letter escaped."""
    text = "Ж" * 4096
    full = {"text": text, "channel_username": "citynews", "channel_title": "Ж" * 255, "views": 1}
    async with serving(database) as web:
        posts = [post(number, **full, url=f"https://t.me/citynews/{number}") for number in range(1, 1001)]
        status, answer = await hand_in(web, posts)
        assert (status, answer["new"], answer["queued"]) == (202, 1000, 1000)
        status, answer = await hand_in(web, [post(number) for number in range(1, 1002)])
        assert (status, answer["detail"][0]["loc"]) == (422, ["body", "posts"])
        assert "at most 1000 items" in answer["detail"][0]["msg"]
        for data in (b" " * (33 * MIB), pieces(33)):
            answer = await web.http.post(f"{web.url}/users/1/posts", data=data, headers=BEARER)
            assert (answer.status, "detail" in await answer.json()) == (413, True)


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_an_answer_names_at_most_a_hundred_problems(database: Database) -> None:
    async with serving(database) as web:
        status, answer = await hand_in(web, [{}] * 150)
        assert (status, len(answer["detail"])) == (422, 100)


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_for_oneself_alone(database: Database) -> None:
    async with serving(database) as web:
        assert (await hand_in(web, [post(1)], user_id=99))[0] == 404
        mine = {"Authorization": f"Bearer {await web.tokens.create(1001)}"}
        for user_id, headers, status in ((1, mine, 202), (2, mine, 403), (1, {}, 401)):
            answer = await web.http.post(f"{web.url}/users/{user_id}/posts", json={"posts": [post(1)]}, headers=headers)
            assert answer.status == status
        # A stranger is refused before the body is read.
        assert (await web.http.post(f"{web.url}/users/1/posts", data=b"{")).status == 401


async def test_what_no_database_holds_is_left_out(database: Database) -> None:
    async with serving(database) as web:
        _, answer = await hand_in(web, [post(1, text="a\x00b", channel_title="c\x00d")])
        assert (await get_post(database, answer["posts"][0]["post_id"])).text == "ab"
