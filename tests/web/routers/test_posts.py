"""Pages of posts, statistics, retry and new tags."""

from __future__ import annotations

from services.library.search_index import SearchIndex
from storage.db.engine import Database
from storage.schema.tables import ModelStateRow
from tests.services.engine import CHAIN
from tests.storage.rows import NOW, get_post
from tests.web.running import ask, serving


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


async def test_posts_are_searched(database: Database) -> None:
    """As /find does, together with the other filters, page by page; only the user's own."""
    async with serving(database) as web:
        index = SearchIndex(database, enabled=True)
        for _ in range(3):
            await index.work()
        for query, ids in {
            "q=город": [5, 4, 3, 2, 1],
            "q=город -4&limit=2": [5, 3],
            "q=%23новость&tag=город": [2, 1],
            "q=города&status=retrying": [4],
            "q=@channel2": [],
            "q=101": [],
            "q=%00 @%00": [5, 4, 3, 2, 1],
        }.items():
            status, page = await ask(web, "GET", f"/users/1/posts?{query}")
            assert (status, [post["id"] for post in page["posts"]]) == (200, ids), query
        _, first = await ask(web, "GET", "/users/1/posts?q=город&limit=3")
        _, rest = await ask(web, "GET", f"/users/1/posts?q=город&limit=3&before={first['next']}")
        assert ([post["id"] for post in rest["posts"]], rest["next"]) == ([2, 1], None)
        status, answer = await ask(web, "GET", "/users/1/posts?q=since:soon")
        assert (status, answer["detail"][0]["loc"]) == (422, ["query", "q"])


async def test_switched_off_search_is_said(database: Database) -> None:
    async with serving(database, search=False) as web:
        status, answer = await ask(web, "GET", "/users/1/posts?q=город")
        assert (status, "SEARCH_INDEX" in answer["detail"]) == (503, True)
