"""What people ask of the queue: new tags, a retry, its stop, a skip."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from sandbox.provider import FaultPlan, ProviderSandbox
from storage.db.engine import Database
from storage.queue import retry_requests
from storage.schema.tables import Attempt, Post, RetryRun
from tests.services.engine import FAST, running
from tests.services.posts import fill, own_tags, tell_kinds
from tests.storage.rows import NOW, get_post

LATER = NOW + timedelta(minutes=1)


async def test_retry_gives_failed_posts_one_more_attempt(database: Database, provider: ProviderSandbox) -> None:
    """And Stop takes what is left out of the queue again, as it was."""
    await fill(database, 3, tagging_status="failed", tagging_attempts=5, tagging_error="x")
    provider.hold()
    async with running(database, provider, concurrency=1) as engine:
        receipt = await engine.tagging.retry_failed_posts(user_id=1, by_telegram_id=1001)
        assert (receipt.queued, receipt.batch_id is not None) == (3, True)

        async def asked() -> bool:
            return len(provider.requests) == 1

        await engine.until(asked)
        assert receipt.batch_id is not None
        assert await engine.tagging.stop_retry(receipt.batch_id, 999) is None
        assert await engine.tagging.stop_retry(receipt.batch_id, 1001) == 2
        assert await engine.tagging.stop_retry(receipt.batch_id, 1001) == 0
        provider.release()
        await engine.settled()
        posts = await engine.posts()
    assert sorted(str(post.tagging_status) for post in posts) == ["failed", "failed", "success"]
    assert [post.tagging_attempts for post in posts if post.tagging_status == "failed"] == [5, 5]
    assert len(provider.requests) == 1


async def test_progress_of_a_retry(database: Database, provider: ProviderSandbox) -> None:
    """Counts follow the posts, and it is finished when each had its attempt."""
    await fill(database, 4, tagging_status="failed", tagging_attempts=5)
    async with running(database, provider) as engine:
        receipt = await engine.tagging.retry_failed_posts(user_id=1, limit=3, by_telegram_id=1001)
        assert receipt.batch_id is not None
        await engine.tagging.show_progress(receipt.batch_id, 1001, 77)
        await engine.settled()
        progress = (await engine.tagging.open_batches())[0]
        assert (progress.total, progress.success, progress.finished, progress.message_id) == (3, 3, True, 77)
        await engine.tagging.close_batch(receipt.batch_id)
        assert await engine.tagging.open_batches() == []


async def test_force_counts_anew(database: Database, provider: ProviderSandbox) -> None:
    """Attempts are reset, so that a failing post has all of them again."""
    await fill(database, 1, tagging_status="failed", tagging_attempts=5)
    provider.queue(*["no_tags"] * 4, None)
    async with running(database, provider, policy=FAST) as engine:
        await engine.tagging.retry_failed_posts(force=True)
        await engine.settled()
        post = (await engine.posts())[0]
    assert (post.tagging_status, post.tagging_attempts) == ("success", 2)


async def test_skip_and_undo(database: Database, provider: ProviderSandbox) -> None:
    """A skipped post is not worked on; Undo puts it back as it was; twice changes nothing."""
    await fill(database, 1, tagging_status="failed", tagging_attempts=5, tagging_error="x")
    async with running(database, provider) as engine:
        assert await engine.tagging.skip_post(1, user_id=1) is True
        assert await engine.tagging.skip_post(1, user_id=1) is False
        assert await engine.tagging.skip_post(1, user_id=2) is None
        assert await engine.count("skipped") == 1
        assert await engine.tagging.unskip_post(1, user_id=1) is True
        assert await engine.tagging.unskip_post(1, user_id=1) is False
        assert await engine.count("failed") == 1
    assert provider.requests == []


async def test_nightly_retry_is_bounded(database: Database, provider: ProviderSandbox) -> None:
    """Three nights each, never what every model refused, and no second notice."""
    await fill(database, 2, tagging_status="failed", tagging_attempts=5, failure_kind="exhausted")
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 2).values(failure_kind="refused"))
    provider.faults = FaultPlan(rate=1.0, names=("no_tags",), seed=1)
    async with running(database, provider) as engine:
        for queued in (1, 1, 1, 0):
            assert await engine.tagging.retry_nightly(100) == queued
            await engine.settled()
    assert await tell_kinds(database) == []


async def test_foreign_posts_do_not_exist(database: Database, provider: ProviderSandbox) -> None:
    """A foreign post and a missing one get the same answer."""
    await fill(database, 1)
    async with running(database, provider) as engine:
        assert await engine.tagging.update_post_tags(1, user_id=2) is None
        assert await engine.tagging.update_post_tags(99) is None
        assert await engine.tagging.retry_post(1, user_id=2) is None


async def test_asked_for_goes_ahead(database: Database, provider: ProviderSandbox) -> None:
    """/regen is served before a backlog."""
    await fill(database, 30)
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 1).values(tagging_status="success", tags=["было"]))
    provider.hold()
    async with running(database, provider, concurrency=1) as engine:

        async def first() -> bool:
            return len(provider.requests) == 1

        await engine.until(first)
        await engine.tagging.update_post_tags(1)
        provider.release()
        await engine.settled()
        assert own_tags((await engine.posts())[0])
    async with database.read() as session:
        order = list((await session.execute(select(Attempt.post_id).order_by(Attempt.id))).scalars())
    assert order.index(1) <= 2


async def test_stop_leaves_a_newer_wish_alone(database: Database, provider: ProviderSandbox) -> None:
    """A /regen that came after the /retry is none of its posts any more."""
    await fill(database, 3, tagging_status="failed", tagging_attempts=5)
    provider.hold()
    async with running(database, provider, concurrency=1) as engine:
        receipt = await engine.tagging.retry_failed_posts(user_id=1, by_telegram_id=1001)

        async def asked() -> bool:
            return len(provider.requests) == 1

        await engine.until(asked)
        await engine.tagging.update_post_tags(1)
        assert receipt.batch_id is not None
        assert await engine.tagging.stop_retry(receipt.batch_id, 1001) == 1
        provider.release()
        await engine.settled()
        assert [post.tagging_status for post in await engine.posts()] == ["success", "failed", "success"]


async def test_a_failed_wish_keeps_the_old_tags(database: Database, provider: ProviderSandbox) -> None:
    """/regen through a refusal: still success, the old tags, and the error says why."""
    await fill(database, 1, tags=["старый", "тег"], tagging_status="success")
    provider.plan_for("событие", "moderation_403")
    async with running(database, provider) as engine:
        await engine.tagging.update_post_tags(1)
        await engine.settled()
        post = (await engine.posts())[0]
    assert (post.tagging_status, post.tags) == ("success", ["старый", "тег"])
    assert post.tagging_error


async def test_a_skip_takes_back_that_new_tags_were_wanted(database: Database) -> None:
    """After Undo another post's tags will do."""
    await fill(database, 1)
    async with database.write() as session:
        await retry_requests.ask_anew(session, 1, NOW)
        assert await retry_requests.skip(session, 1, NOW)
        assert await retry_requests.unskip(session, 1)
    assert (await get_post(database, 1)).wants_new is None


async def test_stop_takes_back_that_new_tags_were_wanted(database: Database) -> None:
    """Those that a forced /retry wanted; who had asked for a post before still wants new ones."""
    await fill(database, 3, tagging_status="failed", tagging_attempts=5)
    async with database.write() as session:
        await retry_requests.ask_anew(session, 2, NOW)
        await retry_requests.start_run(session, user_id=1, telegram_id=1001, limit=9, force=True, now=LATER)
    async with database.write() as session:
        batch = (await session.scalars(select(RetryRun))).one()
        assert await retry_requests.stop_run(session, batch, LATER) == 3
    async with database.read() as session:
        found = {post.id: (post.tagging_status, post.wants_new) for post in await session.scalars(select(Post))}
    assert found == {1: ("failed", None), 2: ("pending", True), 3: ("failed", None)}
