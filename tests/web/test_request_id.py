"""Request ids, security headers and the access log."""

from __future__ import annotations

import structlog

from storage.db.engine import Database
from tests.web.running import BEARER, serving


async def test_every_answer_has_its_headers(database: Database) -> None:
    async with serving(database) as web:
        for path in ("/healthz", "/users", "/nothing", "/docs"):
            answer = await web.http.get(web.url + path, headers={"X-Request-ID": "from.the-proxy_1"})
            assert answer.headers["X-Request-ID"] == "from.the-proxy_1"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Server" not in answer.headers
        answer = await web.http.get(web.url + "/healthz", headers={"X-Request-ID": "a b\tc"})
        assert answer.headers["X-Request-ID"] not in {"a b\tc", ""}


async def test_changes_and_refusals_are_logged_with_their_id(database: Database) -> None:
    async with serving(database) as web:
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            await web.http.get(f"{web.url}/users", headers={**BEARER, "X-Request-ID": "read"})
            await web.http.get(f"{web.url}/users", headers={"X-Request-ID": "stranger"})
            await web.http.post(f"{web.url}/posts/1/regenerate_tags", headers={**BEARER, "X-Request-ID": "change"})
        found = {line["request_id"]: line for line in lines if line["event"] == "http_request"}
        assert {name: line["log_level"] for name, line in found.items()} == {
            "read": "debug",
            "stranger": "info",
            "change": "info",
        }
        change = found["change"]
        assert (change["method"], change["path"], change["status"]) == ("POST", "/posts/1/regenerate_tags", 202)
