"""Swagger UI and ReDoc."""

from __future__ import annotations

import re

from storage.db.engine import Database
from tests.web.running import serving


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
