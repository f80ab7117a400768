"""A text that was tagged already asks nobody, unless somebody wants new tags."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from sandbox.provider import ProviderSandbox, expected_tags
from services.tags.text_equality import text_key
from storage.db.engine import Database
from storage.queue.claim import Priority
from storage.schema.tables import Attempt, Post
from tests.services.engine import Engine, running
from tests.services.posts import keys
from tests.storage.rows import add_posts, add_user

TEXT = "Новая станция метро открылась сегодня: https://city.example/news?id=7&utm_source=tg"
REPOST = "НОВАЯ станция метро открылась сегодня — https://city.example/news?id=7&utm_source=vk&fbclid=Xyz1!"
OTHER = "Новая станция метро закрылась сегодня: https://city.example/news?id=7"


async def fill(database: Database, *texts: str) -> None:
    async with database.write() as session:
        for number, text in enumerate(texts, start=1):
            await add_user(session, number)
            await add_posts(session, number, 1, first=number, text=text)


async def test_a_repost_takes_the_tags(database: Database, provider: ProviderSandbox) -> None:
    """Also another user's, and without an attempt."""
    await fill(database, TEXT)
    async with running(database, provider) as engine:
        await engine.settled()
        async with database.write() as session:
            await add_user(session, 2)
            await add_posts(session, 2, 1, first=2, text=REPOST)
        engine.worker.wake()
        await engine.settled()
        posts = await engine.posts()
    assert len(provider.requests) == 1
    assert [keys(post.tags or ()) for post in posts] == [keys(expected_tags(TEXT))] * 2
    assert [post.tagging_attempts for post in posts] == [1, 0]


async def test_equal_texts_at_once_are_asked_about_once(database: Database, provider: ProviderSandbox) -> None:
    """The same post of a channel that many follow: the others wait for the first one's tags."""
    await fill(database, *[TEXT] * 5, OTHER)
    async with running(database, provider) as engine:
        await engine.settled()
        posts = await engine.posts()
    assert len(provider.requests) == 2
    assert [keys(post.tags or ()) for post in posts] == [keys(expected_tags(TEXT))] * 5 + [keys(expected_tags(OTHER))]


async def test_an_equal_text_that_failed_gives_nothing(database: Database, provider: ProviderSandbox) -> None:
    """Nor does one whose tags are a parser's, of which it is not known which text they were for."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1, text=TEXT, tagging_status="failed", text_key=text_key(TEXT))
        await add_posts(session, 1, 1, first=2, text=TEXT, tagging_status="success", tags=["чужое"])
        await add_posts(session, 1, 1, first=3, text=TEXT)
    async with running(database, provider) as engine:
        await engine.settled()
    assert len(provider.requests) == 1


async def edit(engine: Engine, text: str) -> None:
    async with engine.database.write() as session:
        await session.execute(update(Post).where(Post.id == 1).values(text=text))
    engine.worker.wake()
    await engine.settled()


async def test_an_edit_that_changes_nothing_asks_nothing(database: Database, provider: ProviderSandbox) -> None:
    """Case, punctuation, tracking: the tags stay. Another word: new tags."""
    await fill(database, TEXT)
    async with running(database, provider) as engine:
        await engine.settled()
        await edit(engine, REPOST)
        assert len(provider.requests) == 1
        await edit(engine, OTHER)
        posts = await engine.posts()
    assert len(provider.requests) == 2
    assert (posts[0].tagging_status, keys(posts[0].tags or ()), posts[0].text) == (
        "success",
        keys(expected_tags(OTHER)),
        OTHER,
    )


async def test_regen_wants_new_tags(database: Database, provider: ProviderSandbox) -> None:
    """Neither its own nor an equal text's."""
    await fill(database, TEXT, REPOST)
    async with running(database, provider) as engine:
        await engine.settled()
        assert len(provider.requests) == 1
        await engine.tagging.update_post_tags(1)
        await engine.settled()
    assert len(provider.requests) == 2


async def test_force_wants_new_tags(database: Database, provider: ProviderSandbox) -> None:
    """A forced retry of a failed post asks, though an equal text has tags."""
    await fill(database, TEXT, REPOST)
    async with database.write() as session:
        values = {"tagging_status": "success", "tags": ["старое"], "text_key": text_key(TEXT)}
        await session.execute(update(Post).where(Post.id == 1).values(values))
        await session.execute(update(Post).where(Post.id == 2).values(tagging_status="failed"))
    async with running(database, provider) as engine:
        await engine.tagging.retry_failed_posts(2, 10, force=True)
        await engine.settled()
        posts = await engine.posts()
    assert len(provider.requests) == 1
    assert keys(posts[1].tags or ()) == keys(expected_tags(REPOST))
    assert posts[1].wants_new is None


async def test_a_reuse_is_no_attempt(database: Database, provider: ProviderSandbox) -> None:
    """The log of attempts has requests only."""
    await fill(database, TEXT, REPOST)
    async with running(database, provider) as engine:
        await engine.settled()
    async with database.read() as session:
        assert len((await session.execute(select(Attempt))).all()) == 1


async def test_tags_of_the_text_before_are_not_reused(database: Database, provider: ProviderSandbox) -> None:
    """An edit that brought no new tags leaves the old ones, which are not the new text's."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1, text=OTHER, tagging_status="success", tags=["прежнее"], text_key=text_key(TEXT))
        await add_posts(session, 1, 1, first=2, text=TEXT)
        await add_posts(session, 1, 1, first=3, text=OTHER)
    async with running(database, provider) as engine:
        await engine.settled()
        posts = await engine.posts()
    assert [keys(post.tags or ()) for post in posts[1:]] == [keys(expected_tags(TEXT)), keys(expected_tags(OTHER))]


async def test_posts_whose_tags_are_of_no_use_hide_no_others(database: Database, provider: ProviderSandbox) -> None:
    """The newest was edited, the one before has lost its tags: there is one more."""
    done: dict[str, Any] = {"tagging_status": "success", "text_key": text_key(TEXT)}
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1, text=TEXT, tags=["старше"], **done)
        await add_posts(session, 1, 1, first=2, text=TEXT, tags=["новее"], **done)
        await add_posts(session, 1, 1, first=3, text=TEXT, tags=["", " "], **done)
        await add_posts(session, 1, 1, first=4, text=OTHER, tags=["прежнее"], **done)
        await add_posts(session, 1, 1, first=5, text=REPOST)
    async with running(database, provider) as engine:
        await engine.settled()
        posts = await engine.posts()
    assert provider.requests == []
    assert posts[-1].tags == ["новее"]


@pytest.mark.parametrize(
    ("text", "tags", "status"), [(None, None, "skipped"), (" ", ["есть"], "success"), (TEXT, ["есть"], "success")]
)
async def test_nothing_is_left_of_a_post_that_needs_no_model(
    database: Database, provider: ProviderSandbox, text: str | None, tags: list[str] | None, status: str
) -> None:
    """No error of an attempt before, no suspicion, no place in the order of work, no wait."""
    left: dict[str, Any] = {
        "tagging_error": "HTTP 500",
        "work_class": Priority.RETRY,
        "suspect": True,
        "after_fault": True,
        "waits_for_upstream": True,
        "attempt_trail": {"asked": [], "together": 5},
        "failure_kind": "exhausted",
        "nightly_retries": 2,
    }
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1, text=text, tags=tags, tagging_status="retrying", **left)
    async with running(database, provider) as engine:
        await engine.settled()
        [post] = await engine.posts()
    assert (post.tagging_status, provider.requests) == (status, [])
    assert {name: getattr(post, name) for name in left} == dict.fromkeys(left)
