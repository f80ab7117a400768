"""Errors are JSON with a detail."""

from __future__ import annotations

import pytest

from storage.db.engine import Database
from tests.web.running import BEARER, ask, behind_proxy, serving


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/users/99/posts", 404),
        ("GET", "/users/99/posts/tagging_stats", 404),
        ("POST", "/users/99/posts/retry_tagging", 404),
        ("GET", "/posts/99", 404),
        ("POST", "/posts/99/regenerate_tags", 404),
        ("GET", "/nothing", 404),
        ("GET", "/users/1/posts/", 404),
        ("PUT", "/posts/1", 405),
    ],
)
async def test_errors_are_json_with_a_detail(database: Database, method: str, path: str, status: int) -> None:
    async with serving(database) as web:
        found, answer = await ask(web, method, path)
        assert found == status
        assert isinstance(answer["detail"], str)
        assert answer["detail"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/users/1/posts?limit=0", ["query", "limit"]),
        ("/users/1/posts?limit=1001", ["query", "limit"]),
        ("/users/1/posts?status=done", ["query", "status"]),
        ("/users/1/posts?before=yesterday", ["query", "before"]),
        ("/users/1/posts?tag=%00", ["query", "tag"]),
        (f"/users/{2**31}/posts", ["path", "user_id"]),
        ("/posts/x", ["path", "post_id"]),
        ("/users/1/posts?statuss=failed", ["query", "statuss"]),
        ("/posts/1?user_id=1", ["query", "user_id"]),
    ],
)
async def test_the_field_at_fault_is_named(database: Database, path: str, field: list[str]) -> None:
    async with serving(database) as web:
        status, answer = await ask(web, "GET", path)
        assert status == 422
        assert [each["loc"] for each in answer["detail"]] == [field]


async def test_a_path_names_all_that_it_can_be_asked(database: Database) -> None:
    async with serving(database) as web:
        for path, allowed in (
            ("/users/1/posts", "HEAD, GET, POST"),
            ("/posts/1/regenerate_tags", "POST"),
            ("/users", "HEAD, GET"),
        ):
            answer = await web.http.put(web.url + path, headers=BEARER)
            assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_who_is_not_known_learns_nothing_of_a_request(database: Database) -> None:
    """Not even that it is wrong."""
    async with serving(database) as web:
        for path in ("/posts/x", "/users/0/posts?limit=x", "/users/99/tags"):
            assert (await web.http.get(web.url + path)).status == 401


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_without_the_database_it_is_said(migrated_url: str) -> None:
    async with behind_proxy(migrated_url) as (web, proxy):
        assert (await ask(web, "GET", "/users/1/posts/tagging_stats"))[0] == 200
        proxy.cut()
        for method, path in (("GET", "/users/1/posts"), ("POST", "/posts/1/regenerate_tags")):
            status, answer = await ask(web, method, path)
            assert (status, answer) == (503, {"detail": "The database does not answer: try again in a moment"})
        assert (await ask(web, "GET", "/healthz"))[0] == 200
        await proxy.mend()
        assert (await ask(web, "GET", "/users/1/posts/tagging_stats"))[0] == 200
