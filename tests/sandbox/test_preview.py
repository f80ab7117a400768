"""The stand-in for the public preview behaves as Telegram's, and fails exactly as told."""

from __future__ import annotations

from typing import Any

import aiohttp

from sandbox.preview import PreviewSandbox


async def get(preview: PreviewSandbox, path: str, **headers: str) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{preview.url}{path}", allow_redirects=False) as got,
    ):
        return got.status, await got.text(), got.headers.get("Location", got.headers.get("ETag", ""))


async def act(preview: PreviewSandbox, action: str, **body: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.post(f"{preview.url}/sandbox/{action}", json=body) as got:
        return got.status, await got.json()


async def test_twenty_posts_a_page_and_a_link_to_older_ones(preview: PreviewSandbox) -> None:
    preview.channel("durov", "Durov").posts(*(f"post {n}" for n in range(1, 26)))
    _, html, _ = await get(preview, "/s/durov")
    assert html.count('data-post="durov/') == 20
    assert 'data-before="6"' in html
    _, html, _ = await get(preview, "/s/durov?before=6")
    assert html.count('data-post="durov/') == 5
    assert "data-before" not in html


async def test_what_has_not_changed_is_304(preview: PreviewSandbox) -> None:
    channel = preview.channel("durov")
    number = channel.post("one")
    _, _, tag = await get(preview, "/s/durov")
    assert (await get(preview, "/s/durov", **{"If-None-Match": tag}))[0] == 304
    channel.see(number, "1.2K")
    assert (await get(preview, "/s/durov", **{"If-None-Match": tag}))[0] == 200


async def test_posts_are_edited_and_deleted_and_numbers_have_gaps(preview: PreviewSandbox) -> None:
    channel = preview.channel("durov")
    first, second = channel.posts("one", "two")
    channel.gap(5)
    last = channel.post("last")
    channel.edit(first, "ONE")
    channel.delete(second)
    _, html, _ = await get(preview, "/s/durov")
    assert (first, second, last) == (1, 2, 8)
    assert "ONE" in html
    assert "durov/2" not in html


async def test_a_name_without_preview_leads_to_the_page_about_it(preview: PreviewSandbox) -> None:
    preview.channel("secret", "Secret").has_preview = False
    for name in ("secret", "missing"):
        assert (await get(preview, f"/s/{name}"))[::2] == (302, f"/{name}")
        status, html, _ = await get(preview, f"/{name}")
        assert status == 200
        assert "tgme_widget_message" not in html


async def test_an_old_name_leads_to_the_new_one(preview: PreviewSandbox) -> None:
    preview.channel("old").post("x")
    preview.rename("old", "new")
    assert (await get(preview, "/s/old"))[::2] == (302, "/s/new")
    assert 'data-post="new/1"' in (await get(preview, "/s/new"))[1]


async def test_faults_come_as_often_as_told_and_to_whom(preview: PreviewSandbox) -> None:
    preview.channel("a").post("x")
    preview.channel("b").post("x")
    preview.fail_next("500", 2, channel="A")
    statuses = [(await get(preview, f"/s/{name}"))[0] for name in ("a", "b", "a", "a")]
    assert statuses == [500, 200, 500, 200]
    assert [record.status for record in preview.requests] == statuses


async def test_other_processes_act_over_http(preview: PreviewSandbox) -> None:
    assert await act(preview, "channel", name="durov", title="Durov") == (200, {"ok": True, "name": "durov"})
    assert await act(preview, "post", name="durov", text="one") == (200, {"ok": True, "message_id": 1})
    await act(preview, "post", name="durov", text="Which?", kind="poll", options=["this", "that"])
    await act(preview, "post", name="durov", text="late", posted_at="2026-05-06T07:08:09+03:00")
    assert '<time datetime="2026-05-06T07:08:09+03:00"' in (await get(preview, "/s/durov"))[1]
    await act(preview, "delete", name="durov", message_id=3)
    await act(preview, "edit", name="durov", message_id=1, text="changed")
    await act(preview, "delete", name="durov", message_id=2)
    await act(preview, "rename", name="durov", to="pavel")
    await act(preview, "fail", kind="429", headers={"Retry-After": "5"})
    assert (await get(preview, "/s/pavel"))[0] == 429
    html = (await get(preview, "/s/pavel"))[1]
    assert "changed" in html
    assert "Which?" not in html
    assert (await act(preview, "post", name="pavel", kind="nonsense"))[0] == 400
    assert (await act(preview, "delete", name="pavel", message_id=99))[0] == 400
    async with aiohttp.ClientSession() as http, http.get(f"{preview.url}/sandbox/requests") as got:
        assert [record["status"] for record in await got.json()] == [200, 429, 200]
    async with aiohttp.ClientSession() as http, http.get(f"{preview.url}/sandbox/state") as got:
        assert (await got.json())["channels"] == [{"name": "pavel", "title": "Durov", "messages": [1]}]
    await act(preview, "remove", name="pavel")
    assert (await get(preview, "/s/pavel"))[0] == 302
