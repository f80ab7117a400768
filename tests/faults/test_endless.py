"""Faults that nobody ends: a post that breaks every model, a connection that is dead without a word."""

from __future__ import annotations

import pytest

from tests.faults.checks import check
from tests.faults.marks import full, on_postgresql, on_sqlite
from tests.faults.world import World, marker
from tests.proxy import proxied

pytestmark = [pytest.mark.timeout(120), full]


@on_sqlite
async def test_a_post_that_breaks_every_model(world: World) -> None:
    """It fails after its attempts, though nothing else is left to tag, and is not taken for an outage.

    Bound: each other post once; TAGGING_MAX_ATTEMPTS (5) attempts of 1 + TAGGING_MAX_RETRIES (3) requests for it.
    """
    count = 20
    await world.fill(count)
    world.provider.plan_for(marker(count), "http_500")
    async with world.bot() as bot:
        await world.until_settled(45)
        assert await bot.stop() == 0
    await check(world, most_requests=count - 1 + 5 * 4, failed={count: "exhausted"})


@on_postgresql
async def test_connections_die_without_a_word(world: World) -> None:
    """After a failover nothing comes on the old connections, while new ones work: work goes on with those.

    Bound: each post once.
    """
    count = 60
    await world.fill(count)
    world.provider.latency = 0.05
    async with proxied(world.url) as (proxy, url), world.bot(DATABASE_URL=url) as bot:
        await world.until_requests(20)
        proxy.freeze()
        await world.until_settled(58)
        assert await bot.stop() == 0
    await check(world, most_requests=count)
