"""The limit on a request's body. That of posts is in `routers/test_new_posts.py`."""

from __future__ import annotations

from bot.web.body_limit import MAX_BODY
from storage.db.engine import Database
from tests.web.running import BEARER, serving


async def test_a_body_that_is_announced_as_too_large_is_refused(database: Database) -> None:
    async with serving(database) as web:
        url = f"{web.url}/posts/1/regenerate_tags"
        answer = await web.http.post(url, data=b"x" * (MAX_BODY + 1), headers=BEARER)
        assert (answer.status, await answer.json()) == (413, {"detail": "The body is too large"})
        assert (await web.http.post(url, data=b"x" * MAX_BODY, headers=BEARER)).status == 202
