"""Who is let in, and what they reach."""

from __future__ import annotations

import pytest

from bot.web.auth import why_not_local
from storage.db.engine import Database
from tests.web.running import API_TOKEN, BEARER, serving

LOCAL = {"host": "127.0.0.1:8010"}
MINE, THEIRS = "/users/1/posts/tagging_stats", "/users/2/posts/tagging_stats"


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("127.0.0.1", LOCAL),
        ("127.8.9.1", {"host": "localhost"}),
        ("::1", {"host": "[::1]:8010"}),
        ("::ffff:127.0.0.1", {"host": "LOCALHOST:8010"}),
        ("127.0.0.1", {**LOCAL, "origin": "http://127.0.0.1:8010"}),
        ("127.0.0.1", {**LOCAL, "sec-fetch-site": "same-origin"}),
        ("127.0.0.1", {**LOCAL, "sec-fetch-site": "none"}),
    ],
)
def test_programs_on_this_machine(client: str, headers: dict[str, str]) -> None:
    assert why_not_local(client, headers) is None


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (None, LOCAL),
        ("", LOCAL),
        ("10.0.0.1", LOCAL),
        ("::ffff:10.0.0.1", LOCAL),
        ("127.0.0.1", {}),
        ("127.0.0.1", {"host": "evil.example:8010"}),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example"}),
        ("127.0.0.1", {"host": "localhost.evil.example"}),
        ("127.0.0.1", {"host": "[::1"}),
        ("127.0.0.1", {**LOCAL, "origin": "http://evil.example"}),
        ("127.0.0.1", {**LOCAL, "origin": "null"}),
        ("127.0.0.1", {**LOCAL, "origin": "http://127.0.0.1:3000"}),
        ("127.0.0.1", {**LOCAL, "sec-fetch-site": "cross-site"}),
        ("127.0.0.1", {**LOCAL, "sec-fetch-site": "same-site"}),
        ("127.0.0.1", {**LOCAL, "x-forwarded-for": "127.0.0.1"}),
        ("127.0.0.1", {**LOCAL, "x-forwarded-host": "localhost"}),
        ("127.0.0.1", {**LOCAL, "forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {**LOCAL, "x-real-ip": "127.0.0.1"}),
        ("127.0.0.1", {**LOCAL, "via": "1.1 caddy"}),
        ("127.0.0.1", {**LOCAL, "X_Forwarded_For": "1.2.3.4"}),
        ("127.0.0.1", {**LOCAL, "x-original-forwarded-for": "1.2.3.4"}),
        ("127.0.0.1", {**LOCAL, "true-client-ip": "1.2.3.4"}),
        ("127.0.0.1", {**LOCAL, "origin": "http://["}),
        ("127.0.0.1", {"host": "evil@127.0.0.1"}),
    ],
)
def test_what_comes_from_elsewhere(client: str | None, headers: dict[str, str]) -> None:
    assert why_not_local(client, headers) is not None


def test_what_a_proxy_of_few_words_passes_on() -> None:
    """nginx speaks HTTP/1.0 to what is behind it, and may add no header at all."""
    assert why_not_local("127.0.0.1", LOCAL, "1.0") is not None


async def test_without_a_token_loopback_is_the_administrator(database: Database) -> None:
    async with serving(database, api_token=None) as web:
        for path in (MINE, THEIRS, "/users"):
            assert (await web.http.get(web.url + path)).status == 200
        assert (await web.http.post(f"{web.url}/users/1/posts/retry_tagging?force=true")).status == 202
        for name in ("X-Forwarded-For", "Forwarded"):
            answer = await web.http.get(web.url + MINE, headers={name: "for=1.2.3.4"})
            assert answer.status == 403
            assert "API_TOKEN" in (await answer.json())["detail"]
        page = {"Origin": "https://evil.example"}
        assert (await web.http.post(f"{web.url}/posts/1/regenerate_tags", headers=page)).status == 403
        assert (await web.http.get(web.url + MINE, headers={"Host": "evil.example"})).status == 403
        assert (await web.http.get(web.url + MINE, headers={"Authorization": "Bearer wrong"})).status == 401
        assert (await web.http.get(web.url + MINE, headers={"Authorization": "Basic eDp5"})).status == 401


async def test_with_a_token_everybody_needs_one(database: Database) -> None:
    async with serving(database) as web:
        for given in (None, "", "Bearer", "Bearer ", f"Bearer {API_TOKEN}x", f"Basic {API_TOKEN}", "Bearer \xff"):
            headers = {} if given is None else {"Authorization": given}
            answer = await web.http.get(web.url + MINE, headers=headers)
            assert answer.status == 401, given
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert API_TOKEN not in await answer.text()
        assert (await web.http.get(web.url + MINE, headers=BEARER)).status == 200
        # The proxy has nothing to say where a token has.
        assert (await web.http.get(web.url + MINE, headers={**BEARER, "X-Forwarded-For": "1.2.3.4"})).status == 200
        assert (await web.http.get(web.url + "/metrics")).status == 401
        assert (await web.http.get(web.url + "/metrics", headers=BEARER)).status == 200
        for path in ("/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"):
            assert (await web.http.get(web.url + path)).status == 200


async def test_a_users_token_reaches_their_own_rows(database: Database) -> None:
    async with serving(database) as web:
        mine = {"Authorization": f"bearer {await web.tokens.create(1001)}"}

        async def status(method: str, path: str) -> int:
            return (await web.http.request(method, web.url + path, headers=mine)).status

        for path in (MINE, "/users/1/posts", "/users/1/channels", "/users/1/tags", "/posts/3"):
            assert await status("GET", path) == 200, path
        for path in (THEIRS, "/users/2/posts", "/users/2/channels", "/users/2/tags", "/users/99/tags", "/metrics"):
            assert await status("GET", path) == 403, path
        assert await status("GET", "/posts/101") == await status("GET", "/posts/999") == 404
        assert await status("POST", "/posts/101/regenerate_tags") == 404
        assert await status("POST", "/users/2/posts/retry_tagging") == 403
        assert await status("POST", "/users/1/posts/retry_tagging?force=true") == 403
        assert await status("POST", "/users/1/posts/retry_tagging") == 202
        users = await (await web.http.get(f"{web.url}/users", headers=mine)).json()
        assert [user["id"] for user in users["users"]] == [1]
        token = (await web.tokens.list())[0]
        await web.tokens.revoke(token.id)
        assert await status("GET", MINE) == 401
