"""Processes that are killed, stopped for a while, and ended in the middle of their work."""

from __future__ import annotations

import signal
from random import Random

import pytest

from sandbox.provider import FaultPlan
from sandbox.provider.faults import TRANSIENT
from tests.faults.checks import check
from tests.faults.marks import full, on_postgresql, postgresql_first
from tests.faults.world import BATCH, CONCURRENCY, World

pytestmark = pytest.mark.timeout(300)


@full
async def test_kill_ten_times(world: World) -> None:
    """kill -9 at random moments with requests in flight: every post gets its own tags, none is stuck.

    Bound: one answered request a post, a request for each fault, and for each kill what was in flight then
    (TAGGING_CONCURRENCY requests of TAGGING_BATCH_SIZE posts).
    """
    count, kills, random = 150, 10, Random(4)
    await world.fill(count)
    world.provider.faults = FaultPlan(0.1, seed=5)
    # So slow that a kill meets requests in flight before all is done, however busy the machine is.
    world.provider.latency = 0.3
    for _ in range(kills):
        goal = len(world.provider.requests) + random.randint(1, 8)
        async with world.bot() as bot:
            await world.until_requests(goal)
            await world.until_in_flight(random.randint(1, 2))
            await bot.kill()
    async with world.bot() as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    lost = kills * CONCURRENCY * BATCH
    await check(world, most_requests=count + world.outcomes(TRANSIENT) + lost, most_repeats=lost)


@on_postgresql
@full
async def test_a_process_that_stood_still_for_longer_than_its_lease(world: World) -> None:
    """What another process did meanwhile stands: no tags, no attempt of it is written over.

    Bound: each post once, and what the first process had in flight.
    """
    count = 30
    await world.fill(count)
    world.provider.hold()
    # What the first process will hear is the worst that could be written over tags.
    world.provider.queue(*["moderation_403", "no_tags"] * (CONCURRENCY // 2))
    async with world.bot() as first:
        await world.until_in_flight(CONCURRENCY)
        first.send(signal.SIGSTOP)
        world.provider.release()
        await world.until(lambda: world.provider.in_flight == 0)
        async with world.bot() as second:
            await world.until_settled()
            posts, attempts = await _rows(world)
            first.send(signal.SIGCONT)

            async def has_written() -> bool:
                return len(await world.attempts()) == len(attempts) + CONCURRENCY

            await world.until(has_written)
            assert await first.stop() == 0
            assert await second.stop() == 0
    posts_now, attempts_now = await _rows(world)
    assert posts_now == posts
    assert {number: attempts_now[number] for number in attempts} == attempts
    await check(world, most_requests=count + CONCURRENCY)


@full
@postgresql_first
async def test_stopped_in_the_middle_and_started_again(world: World) -> None:
    """SIGTERM lets what is in flight end, exits with 0, leaves no lease, and the next start goes on at once.

    Bound: each post once, since no answer is lost.
    """
    count = 30
    await world.fill(count)
    world.provider.hold()
    async with world.bot(LEASE_SECONDS="300") as bot:
        await world.until_in_flight(CONCURRENCY)
        bot.send(signal.SIGTERM)
        await world.until(lambda: '"stopping"' in bot.log)
        world.provider.release()
        assert await bot.stop() == 0
    assert [post.id for post in await world.posts() if post.lease_token or post.lease_expires_at] == []
    assert len([post for post in await world.posts() if post.tagging_status == "success"]) == CONCURRENCY
    async with world.bot(LEASE_SECONDS="300") as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    await check(world, most_requests=count)


@on_postgresql
@full
async def test_stopped_while_the_provider_hangs(world: World) -> None:
    """SIGTERM ends the process within 20 s whatever is in flight; the next start takes the posts at once.

    Bound: each post once, and what was in flight.
    """
    count = 12
    await world.fill(count)
    world.provider.hold()
    async with world.bot(LEASE_SECONDS="300") as bot:
        await world.until_in_flight(CONCURRENCY)
        bot.send(signal.SIGTERM)
        status: list[int] = []

        async def ended() -> bool:
            status.append(await bot.stop())
            return True

        await world.until(ended, seconds=20)
        assert status == [0]
    assert [post.id for post in await world.posts() if post.lease_token or post.lease_expires_at] == []
    world.provider.release()
    async with world.bot(LEASE_SECONDS="300") as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    await check(world, most_requests=count + CONCURRENCY)


Row = dict[str, object]


async def _rows(world: World) -> tuple[dict[int, Row], dict[int, Row]]:
    """Posts and attempts, each by its id; but for what the leader counts beside the work."""
    posts = {post.id: {**_columns(post), "counted_tags": None} for post in await world.posts()}
    return posts, {attempt.id: _columns(attempt) for attempt in await world.attempts()}


def _columns(row: object) -> Row:
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}
