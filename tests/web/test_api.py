"""What the API answers, and does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.telegram.health import TelegramState
from storage.db.engine import Database, parse_url
from storage.schema.tables import ModelStateRow
from tests.proxy import Proxy, proxied
from tests.services.engine import CHAIN
from tests.storage.rows import NOW, get_post
from tests.web.running import BEARER, Web, serving


async def ask(web: Web, method: str, path: str) -> tuple[int, Any]:
    """Status and JSON, as the administrator."""
    answer = await web.http.request(method, web.url + path, headers=BEARER)
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status, await answer.json()


async def test_statistics_as_documented(database: Database) -> None:
    async with serving(database) as web:
        assert await ask(web, "GET", "/users/1/posts/tagging_stats") == (
            200,
            {
                "user_id": 1,
                "total_posts": 5,
                "posts_with_tags": 2,
                "posts_without_tags": 3,
                "posts_need_retry": 1,
                "stats_by_status": {"pending": 1, "success": 2, "failed": 1, "retrying": 1, "skipped": 0},
                "tagging_enabled": True,
                "max_retry_attempts": 5,
            },
        )


async def test_retry_queues_and_answers_at_once(database: Database) -> None:
    async with serving(database) as web:
        status, answer = await ask(web, "POST", "/users/1/posts/retry_tagging?limit=2")
        assert (status, answer.pop("message")) == (202, "2 posts are queued.")
        assert answer == {"user_id": 1, "status": "queued", "force_mode": False, "requested_limit": 2, "queued": 2}
        assert (await get_post(database, 3)).tagging_status == "pending"
        status, answer = await ask(web, "POST", "/users/1/posts/retry_tagging?force=true")
        assert (status, answer["force_mode"], answer["requested_limit"], answer["queued"]) == (202, True, 50, 3)
        assert (await get_post(database, 3)).tagging_attempts == 0


async def test_new_tags_for_a_post(database: Database) -> None:
    async with serving(database) as web:
        status, answer = await ask(web, "POST", "/posts/1/regenerate_tags")
        assert (status, answer) == (202, {"post_id": 1, "status": "queued", "message": "1 post is queued."})
        post = await get_post(database, 1)
        assert (post.tagging_status, post.tags, post.requested_at is not None) == (
            "pending",
            ["новости", "город"],
            True,
        )


async def test_a_pause_is_said_and_no_error(database: Database) -> None:
    async with serving(database) as web:
        async with database.write() as session:
            until = NOW.replace(year=2099)
            for model in CHAIN:
                session.add(ModelStateRow(model=model, aside_until=until, reason="account", faults=1, pauses=1))
        for path in ("/posts/1/regenerate_tags", "/users/1/posts/retry_tagging"):
            status, answer = await ask(web, "POST", path)
            assert status == 202
            assert "2099-01-01T12:00:00Z" in answer["message"]
        status, answer = await ask(web, "POST", "/users/1/posts/retry_tagging?force=true")
        assert (status, "asked once now" in answer["message"]) == (202, True)
        ready = await ask(web, "GET", "/readyz")
        assert (ready[0], ready[1]["provider"]) == (200, {"state": "paused", "until": "2099-01-01T12:00:00Z"})


async def test_without_a_key_nothing_is_queued(database: Database) -> None:
    async with serving(database, enabled=False) as web:
        for path in ("/posts/1/regenerate_tags", "/users/1/posts/retry_tagging"):
            status, answer = await ask(web, "POST", path)
            assert status == 503
            assert "OPENROUTER_API_KEY" in answer["detail"]
        assert (await ask(web, "GET", "/users/1/posts/tagging_stats"))[1]["tagging_enabled"] is False
        assert (await get_post(database, 3)).tagging_status == "failed"


async def test_pages_follow_next(database: Database) -> None:
    async with serving(database) as web:
        found, path = [], "/users/1/posts?limit=2"
        while True:
            _, page = await ask(web, "GET", path)
            found += [post["id"] for post in page["posts"]]
            if page["next"] is None:
                break
            path = f"/users/1/posts?limit=2&before={page['next']}"
        assert found == [5, 4, 3, 2, 1]
        _, failed = await ask(web, "GET", "/users/1/posts?status=failed")
        assert failed["posts"] == [
            {
                "id": 3,
                "user_id": 1,
                "channel_id": 1,
                "telegram_message_id": 3,
                "text": "Пост номер 3 о новостях города",
                "url": None,
                "posted_at": "2026-01-01T12:03:00Z",
                "tags": [],
                "tagging_status": "failed",
                "tagging_attempts": 5,
                "last_tagging_attempt": None,
                "tagging_error": "HTTP 503 (m)",
            }
        ]
        _, tagged = await ask(web, "GET", "/users/1/posts?tag=город")
        assert [post["id"] for post in tagged["posts"]] == [2, 1]
        status, one = await ask(web, "GET", "/posts/3")
        assert (status, one["attempts"], one["tagging_status"]) == (200, [], "failed")


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
        ("GET", f"/users?x={'y' * 5000}", 414),
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
        for path, allowed in (("/users/1/posts", "GET, POST"), ("/posts/1/regenerate_tags", "POST"), ("/users", "GET")):
            answer = await web.http.put(web.url + path, headers=BEARER)
            assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_every_answer_has_its_headers(database: Database) -> None:
    async with serving(database) as web:
        for path in ("/healthz", "/users", "/nothing", "/docs", f"/?x={'y' * 5000}"):
            answer = await web.http.get(web.url + path, headers={"X-Request-ID": "from.the-proxy_1"})
            assert answer.headers["X-Request-ID"] == "from.the-proxy_1"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Server" not in answer.headers
        answer = await web.http.get(web.url + "/healthz", headers={"X-Request-ID": "a b\tc"})
        assert answer.headers["X-Request-ID"] not in {"a b\tc", ""}


async def test_above_the_rate_one_waits_and_then_is_refused(database: Database) -> None:
    async with serving(database, rate=5) as web:
        answers = await asyncio.gather(*(web.http.get(f"{web.url}/users", headers=BEARER) for _ in range(60)))
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        refused = next(answer for answer in answers if answer.status == 429)
        assert refused.headers["Retry-After"] == "1"
        assert "slow down" in (await refused.json())["detail"]


async def test_readiness(database: Database) -> None:
    async with serving(database) as web:
        assert await ask(web, "GET", "/healthz") == (200, {"status": "ok"})
        assert (await web.http.head(web.url + "/healthz")).status == 200
        assert await ask(web, "GET", "/readyz") == (
            200,
            {
                "status": "ready",
                "database": {"ok": True, "migrated": True},
                "telegram": {"state": "ok", "since": "2026-01-01T12:00:00Z"},
                "provider": {"state": "open", "until": None},
            },
        )


@pytest.mark.parametrize("state", ["failing", "starting"])
async def test_not_ready_without_telegram(database: Database, state: Any) -> None:
    async with serving(database) as web:
        web.telegram = TelegramState(state, NOW, "TelegramUnauthorizedError")
        status, answer = await ask(web, "GET", "/readyz")
        assert (status, answer["status"], answer["telegram"]["state"]) == (503, "unready", state)
        assert "Unauthorized" not in str(answer)


async def test_pages_come_from_here_alone(database: Database) -> None:
    async with serving(database) as web:
        for page in ("/docs", "/redoc"):
            text = await (await web.http.get(web.url + page)).text()
            files = re.findall(r'(?:src|href)="([^"]+)"', text)
            assert files
            for file in (each for each in files if not each.startswith("data:")):
                assert "//" not in file
                assert not file.startswith("/")
                answer = await web.http.get(f"{web.url}/{file}")
                assert answer.status == 200, file
        first = await web.http.get(web.url + "/", allow_redirects=False)
        assert (first.status, first.headers["Location"]) == (307, "docs")
        document = await (await web.http.get(web.url + "/openapi.json")).json()
        assert document["openapi"].startswith("3.1")


async def test_what_the_pages_run_may_ask_nobody_else(database: Database) -> None:
    async with serving(database) as web:
        policy = (await web.http.get(web.url + "/docs")).headers["Content-Security-Policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert (rules["default-src"], rules["script-src"], rules["connect-src"]) == ("'none'", "'self'", "'self'")
        assert "http" not in policy
        assert "validatorUrl: null" in await (await web.http.get(web.url + "/docs-files/swagger.js")).text()


async def test_a_body_that_is_too_large_is_refused_as_json(database: Database) -> None:
    async with serving(database) as web:
        answer = await web.http.post(f"{web.url}/posts/1/regenerate_tags", data=b"x" * 2_000_000, headers=BEARER)
        assert (answer.status, "detail" in await answer.json()) == (413, True)


@asynccontextmanager
async def behind_a_wire(migrated_url: str) -> AsyncIterator[tuple[Web, Proxy]]:
    """The API, and what leads to its database."""
    async with proxied(migrated_url) as (proxy, address):
        database = Database(parse_url(address))
        try:
            async with serving(database) as web:
                yield web, proxy
        finally:
            await database.close()


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_without_the_database_it_is_said(migrated_url: str) -> None:
    async with behind_a_wire(migrated_url) as (web, proxy):
        assert (await ask(web, "GET", "/users/1/posts/tagging_stats"))[0] == 200
        proxy.cut()
        for method, path in (("GET", "/users/1/posts"), ("POST", "/posts/1/regenerate_tags")):
            status, answer = await ask(web, method, path)
            assert (status, answer) == (503, {"detail": "The database does not answer: try again in a moment"})
        assert (await ask(web, "GET", "/healthz"))[0] == 200
        await proxy.mend()
        assert (await ask(web, "GET", "/users/1/posts/tagging_stats"))[0] == 200


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_not_ready_without_the_database(migrated_url: str) -> None:
    async with behind_a_wire(migrated_url) as (web, proxy):
        proxy.cut()
        status, answer = await ask(web, "GET", "/readyz")
        assert (status, answer["status"], answer["provider"]) == (503, "unready", None)
        assert answer["database"] == {"ok": False, "migrated": False}


async def test_who_is_not_known_learns_nothing_of_a_request(database: Database) -> None:
    """Not even that it is wrong."""
    async with serving(database) as web:
        for path in ("/posts/x", "/users/0/posts?limit=x", "/users/99/tags"):
            assert (await web.http.get(web.url + path)).status == 401
