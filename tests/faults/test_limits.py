"""Limits of the provider's: a minute's, a day's, one model's, and the pace that keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.end_to_end.process import USER
from tests.faults.checks import check
from tests.faults.marks import full, on_postgresql, on_sqlite
from tests.faults.world import CONCURRENCY, World

pytestmark = pytest.mark.timeout(300)

FREE = ("one/model:free", "two/model:free", "three/model:free")
CHAIN = {"OPENROUTER_MODEL": FREE[0], "OPENROUTER_FALLBACK_MODELS": ",".join(FREE[1:])}
ONCE = {"TAGGING_MAX_ATTEMPTS": "1", "TAGGING_MAX_RETRIES": "0", "TAGGING_BACKOFF_SECONDS": "3600"}


@pytest.mark.parametrize("name", ["rate_limit_minute", "rate_limit_minute_body"], ids=["headers", "body"])
@full
@on_postgresql
async def test_a_limit_by_the_minute(world: World, name: str) -> None:
    """Everything pauses until the reset that the provider names, and no post loses an attempt by it.

    Bound: what was in flight, and each post once.
    """
    count = 20
    await world.fill(count)
    world.provider.hold()
    world.provider.reset_after = 3
    world.provider.queue(*[name] * CONCURRENCY)
    async with world.bot(**CHAIN, **ONCE) as bot:
        await world.until_in_flight(CONCURRENCY)
        world.provider.release()
        await world.until_settled()
        assert await bot.stop() == 0
    limited = [record for record in world.provider.requests if record.outcome == name]
    reset = max(record.at + (record.seconds or 0) for record in limited) + 3
    assert [record for record in world.provider.requests if record.outcome == "ok" and record.at < reset - 0.1] == []
    await check(world, most_requests=count + CONCURRENCY)
    assert {post.tagging_attempts for post in await world.posts()} == {1}


@full
@on_sqlite
async def test_a_limit_by_the_day(world: World) -> None:
    """Everything pauses till midnight UTC; /stats says so; no post fails or loses an attempt.

    Bound: what was in flight.
    """
    count = 20
    await world.fill(count)
    for model in FREE:
        world.provider.model_fault(model, "rate_limit_day")
    async with world.bot(**CHAIN, **ONCE) as bot:
        await world.until_requests(1)
        await world.until(lambda: world.provider.in_flight == 0 and "model_set_aside" in bot.log)
        world.telegram.send_text(USER, "/stats")
        shown = await world.until_told(USER, "limit is reached")
        text = next(m["text"] for m in world.telegram.from_bot(USER) if m["message_id"] == shown)
        midnight = datetime.now(UTC).date() + timedelta(days=1)
        assert "00:00" in text
        assert f"{midnight.day}" in text
        assert await bot.stop() == 0
    posts = await world.posts()
    assert {(post.tagging_status, post.tagging_attempts, post.lease_token) for post in posts} == {("pending", 0, None)}
    assert len(world.provider.requests) <= CONCURRENCY


@full
@on_sqlite
async def test_the_pace_of_free_models(world: World) -> None:
    """TAGGING_REQUESTS_PER_MINUTE=auto keeps 20 requests a minute of `:free` models: 2 % are refused at most.

    Bound: each post once, and those 2 %.
    """
    count = 22
    await world.fill(count)
    world.provider.requests_per_minute = 20
    async with world.bot(**CHAIN, TAGGING_REQUESTS_PER_MINUTE="auto") as bot:
        await world.until_settled(180)
        assert await bot.stop() == 0
    assert world.outcomes(["limited"]) <= count * 2 // 100
    await check(world, most_requests=count)


@full
@on_postgresql
async def test_two_processes_meet_one_limit(world: World) -> None:
    """A limit that one process met holds for the other one.

    Bound: what both had in flight, and each post once.
    """
    count = 20
    await world.fill(count)
    world.provider.hold()
    world.provider.reset_after = 4
    world.provider.queue(*["rate_limit_minute"] * CONCURRENCY * 2)
    async with world.bot(**CHAIN, **ONCE) as one, world.bot(**CHAIN, **ONCE) as two:
        await world.until_in_flight(CONCURRENCY * 2)
        world.provider.release()
        await world.until_settled()
        assert await one.stop() == 0
        assert await two.stop() == 0
    await check(world, most_requests=count + 2 * CONCURRENCY)
