"""GET, PUT and DELETE of rules for tags."""

from __future__ import annotations

from typing import Any

import pytest

from storage.db.engine import Database
from tests.web.running import BEARER, Web, ask, serving

NOTHING = dict.fromkeys(("mode", "language", "most_tags", "instruction", "hashtag_style", "is_on"))
AT_FIRST = {
    "mode": "free",
    "language": "post",
    "most_tags": 7,
    "instruction": "",
    "hashtag_style": "snake",
    "is_on": True,
}


async def put(web: Web, path: str, body: Any) -> tuple[int, Any]:
    answer = await web.http.put(web.url + path, json=body, headers=BEARER)
    return answer.status, await answer.json()


async def test_a_channel_overrides_the_users_rules(database: Database) -> None:
    """Each PUT sets all; what is null is the user's, or as at first; DELETE ends the override."""
    async with serving(database) as web:
        at_first = {"user_id": 1, "channel_id": None, "settings": NOTHING, "in_force": AT_FIRST}
        assert await ask(web, "GET", "/users/1/rules") == (200, at_first)
        status, own = await put(
            web, "/users/1/rules", {"language": "ru", "most_tags": 3, "instruction": "  no\nnames "}
        )
        assert (status, own["in_force"]) == (
            200,
            {**AT_FIRST, "language": "ru", "most_tags": 3, "instruction": "no names"},
        )
        status, channel = await put(web, "/users/1/channels/1/rules", {"most_tags": 10, "hashtag_style": "camel"})
        assert (status, channel["channel_id"]) == (200, 1)
        assert channel["settings"] == {**NOTHING, "most_tags": 10, "hashtag_style": "camel"}
        assert channel["in_force"] == {**own["in_force"], "most_tags": 10, "hashtag_style": "camel"}
        assert (await ask(web, "GET", "/users/1/channels/1/rules"))[1] == channel
        assert (await put(web, "/users/1/rules", {}))[1] == at_first
        assert (await ask(web, "DELETE", "/users/1/channels/1/rules"))[1]["in_force"] == AT_FIRST
        assert (await ask(web, "DELETE", "/users/1/channels/1/rules"))[0] == 404
        assert (await ask(web, "GET", "/users/2/rules"))[1]["settings"] == NOTHING


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"mode": "all"}, "free"),
        ({"language": "russian"}, "form"),
        ({"language": "zz"}, "code of two letters"),
        ({"most_tags": 0}, "greater"),
        ({"most_tags": 11}, "less"),
        ({"instruction": "x" * 501}, "500"),
        ({"colour": "red"}, "not permitted"),
    ],
)
async def test_bad_rules_are_refused_in_a_sentence(database: Database, body: dict[str, Any], words: str) -> None:
    async with serving(database) as web:
        status, answer = await put(web, "/users/2/rules", body)
        assert status == 422
        assert words in answer["detail"][0]["msg"]
        assert (await ask(web, "GET", "/users/2/rules"))[1]["settings"] == NOTHING


async def test_only_tags_of_ones_own_need_some(database: Database) -> None:
    async with serving(database) as web:
        status, answer = await put(web, "/users/2/rules", {"mode": "only"})
        assert status == 409
        assert "no tags yet" in answer["detail"]


async def test_rules_of_others_are_not_told_or_set(database: Database) -> None:
    """Another user's token, another user's channel, a user or a channel that does not exist."""
    async with serving(database) as web:
        token = {"Authorization": f"Bearer {await web.tokens.create(1002)}"}
        for method, path, status in (
            ("GET", "/users/1/rules", 403),
            ("PUT", "/users/1/rules", 403),
            ("DELETE", "/users/1/channels/1/rules", 403),
            ("GET", "/users/2/rules", 200),
            ("GET", "/users/2/channels/1/rules", 404),
            ("PUT", "/users/2/channels/1/rules", 404),
            ("GET", "/users/2/channels/99/rules", 404),
        ):
            answer = await web.http.request(method, web.url + path, headers=token, json={} if method == "PUT" else None)
            assert (method, path, answer.status) == (method, path, status)
        assert (await ask(web, "GET", "/users/77/rules"))[0] == 404
