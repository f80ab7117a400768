"""A user's tags, their changes, and a post's tags by hand."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from storage.db.engine import Database
from tests.storage.rows import add_posts, get_post
from tests.web.running import BEARER, Web, ask, serving


async def send(web: Web, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = await web.http.request(method, web.url + path, json=body, headers=BEARER)
    return answer.status, await answer.json()


async def tags_of(web: Web, *numbers: int) -> list[list[str] | None]:
    return [(await get_post(web.database, number)).tags for number in numbers]


async def names(web: Web, query: str = "") -> list[tuple[str, int]]:
    _, answer = await ask(web, "GET", f"/users/1/tags{query}")
    return [(tag["tag"], tag["count"]) for tag in answer["tags"]]


async def test_tags_are_listed_with_counts_pages_and_a_search(database: Database) -> None:
    async with serving(database) as web:
        async with database.write() as session:
            await add_posts(session, 1, 1, first=50, tagging_status="success", tags=["город", "a/b"])
        status, answer = await ask(web, "GET", "/users/1/tags?limit=2")
        assert (status, answer["total"]) == (200, 3)
        assert [set(tag) for tag in answer["tags"]] == [{"id", "tag", "count", "state"}] * 2
        assert await names(web) == [("город", 3), ("новости", 2), ("a/b", 1)]
        assert await names(web, "?limit=1&offset=1") == [("новости", 2)]
        assert await names(web, f"?search={quote('ГОРО')}") == [("город", 3)]
        assert await ask(web, "GET", "/users/2/tags") == (200, {"tags": [], "total": 0})
        assert (await ask(web, "GET", "/users/99/tags"))[0] == 404


async def test_rename_merge_ban_and_undo(database: Database) -> None:
    async with serving(database) as web:
        path = "/users/1/tags/" + quote("города")
        status, answer = await send(web, "PATCH", path, {"name": "City"})
        assert (status, answer["tag"]["tag"], answer["tag"]["count"]) == (200, "City", 2)
        assert await tags_of(web, 1) == [["новости", "City"]]
        status, answer = await send(web, "POST", "/users/1/tags/city/merge", {"into": "Новость"})
        assert (status, answer["tag"]["tag"]) == (200, "новости")
        assert await tags_of(web, 1) == [["новости"]]
        # By the tag that went, or by the one that stays.
        for name in ("city", quote("новости")):
            assert (await send(web, "POST", f"/users/1/tags/{name}/undo"))[0] == 200
            assert await tags_of(web, 1) == [["новости", "City"]]
            assert (await send(web, "POST", "/users/1/tags/city/merge", {"into": "новости"}))[0] == 200
        assert (await send(web, "POST", "/users/1/tags/city/undo"))[0] == 200
        assert (await send(web, "POST", f"{path}/undo"))[0] == 200
        assert await tags_of(web, 1) == [["новости", "город"]]
        tag = (await ask(web, "GET", f"/users/1/tags?search={quote('город')}"))[1]["tags"][0]
        assert (await send(web, "POST", f"/users/1/tags/{tag['id']}/ban?take_off=true"))[1]["tag"]["state"] == "banned"
        assert await tags_of(web, 1) == [["новости"]]
        assert (await send(web, "POST", f"{path}/undo"))[1]["tag"] == tag
        assert await tags_of(web, 1) == [["новости", "город"]]


async def test_a_posts_tags_are_set_in_the_users_own_spellings(database: Database) -> None:
    async with serving(database) as web:
        body = {"tags": ["Города", "#Мост", "<b>"]}
        assert await send(web, "PUT", "/posts/1/tags", body) == (200, {"post_id": 1, "tags": ["город", "Мост", "<b>"]})
        assert await tags_of(web, 1) == [["город", "Мост", "<b>"]]
        assert (await send(web, "PUT", "/posts/1/tags", {"tags": []}))[1]["tags"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("PATCH", "/users/1/tags/nothing", {"name": "x"}, 404, "There is no such tag"),
        ("POST", "/users/2/tags/новости/ban", None, 404, "There is no such tag"),
        ("POST", "/users/1/tags/9223372036854775808/ban", None, 404, "There is no such tag"),
        ("PATCH", "/users/1/tags/новости", {"name": "город"}, 409, "Another tag has this name: merge the two"),
        ("POST", "/users/1/tags/новости/merge", {"into": "новость"}, 409, "A tag cannot be merged into itself"),
        ("PATCH", "/users/1/tags/новости", {"name": "!?"}, 409, "A tag needs a letter or a digit"),
        ("POST", "/users/1/tags/новости/undo", None, 409, "There is nothing to undo"),
        ("PUT", "/posts/777/tags", {"tags": []}, 404, "There is no post 777"),
    ],
)
async def test_what_cannot_be_done(
    database: Database, method: str, path: str, body: Any, status: int, told: str
) -> None:
    async with serving(database) as web:
        await names(web)
        assert await send(web, method, quote(path), body) == (status, {"detail": told})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/1/tags/новости", {"name": "x" * 65}),
        ("PATCH", "/users/1/tags/новости", {"name": 5}),
        ("PATCH", "/users/1/tags/новости", {"title": "x"}),
        ("POST", "/users/1/tags/новости/merge", {}),
        ("PUT", "/posts/1/tags", {"tags": [str(number) for number in range(31)]}),
        ("PUT", "/posts/1/tags", {"tags": ["x" * 65]}),
    ],
)
async def test_unusable_bodies_change_nothing(database: Database, method: str, path: str, body: Any) -> None:
    async with serving(database) as web:
        await names(web)
        status, answer = await send(web, method, quote(path), body)
        assert (status, answer["detail"][0]["loc"][0]) == (422, "body")
        assert await tags_of(web, 1) == [["новости", "город"]]


async def test_a_users_token_reaches_their_own_tags_only(database: Database) -> None:
    async with serving(database) as web:
        token = await web.tokens.create(1002)
        own = {"Authorization": f"Bearer {token}"}
        for headers, status in ((own, {403, 404}), ({}, {401})):
            for method, path, body in (
                ("PATCH", "/users/1/tags/x", "{"),
                ("POST", "/users/1/tags/x/merge", "{"),
                ("POST", "/users/1/tags/x/ban", ""),
                ("POST", "/users/1/tags/x/undo", ""),
                ("PUT", "/posts/1/tags", '{"tags": []}'),
            ):
                answer = await web.http.request(method, web.url + path, data=body, headers=headers)
                assert answer.status in status
        answer = await web.http.put(f"{web.url}/posts/101/tags", json={"tags": ["мост"]}, headers=own)
        assert (answer.status, await answer.json()) == (200, {"post_id": 101, "tags": ["мост"]})
