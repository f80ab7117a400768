"""Each fault of the provider's by its name, and all of them at random."""

from __future__ import annotations

import pytest

from sandbox.provider import FaultPlan
from sandbox.provider.faults import ELSEWHERE, FAULTS, TRANSIENT
from sandbox.provider.malformed import MALFORMED
from tests.faults.checks import check
from tests.faults.marks import full, on_postgresql, on_sqlite, sqlite_first
from tests.faults.world import CONCURRENCY, MODELS, World, marker

pytestmark = pytest.mark.timeout(240)

#: Answers that hold the tags.
READABLE = [*MALFORMED, *ELSEWHERE, "slow"]
#: What concerns more than one request, and has its own scenarios.
GONE = ["model_gone_404", "model_gone_plain_404"]
LIMITS = ["rate_limit_minute", "rate_limit_minute_body", "rate_limit_day", "rate_limit_provider", "capacity_429"]
ACCOUNT = ["account_401", "account_402", "insufficient_quota_429", "forbidden_403", "data_policy_404"]
#: A second answer on a connection that may be another request's by then: tests/services/llm/test_hostile_answers.py.
TWICE = ["late_answer"]
#: What another request mends: everything else, so that a fault added to the table is tried here.
PASSING = [name for name in FAULTS if name not in {*READABLE, *GONE, *LIMITS, *ACCOUNT, *TWICE}]


@full
@sqlite_first
async def test_every_fault_by_name(world: World) -> None:
    """A post that meets a fault once is tagged by its next request.

    Bound: a post is asked about once, and once more if its answer held no tags. Between two posts with a fault stand
    two without, as at a provider that serves others meanwhile.
    """
    names = [*PASSING, *READABLE]
    await world.fill(3 * len(names))
    for at, name in enumerate(names):
        world.provider.plan_for(marker(3 * at + 1), name, times=1)
    world.provider.slow_seconds = 0.3
    async with world.bot(TAGGING_REQUEST_TIMEOUT="5") as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    met = {record.outcome for record in world.provider.requests}
    assert set(names) - met == set()
    cut = 3 * names.index("truncated_array") + 1
    asked = {name: len(world.requests_about(3 * at + 1)) for at, name in enumerate(names)}
    assert {name: count for name, count in asked.items() if count > (2 if name in PASSING else 1)} == {}
    await check(world, most_requests=3 * len(names) + len(PASSING), shortened=[cut])


@full
@pytest.mark.parametrize("rate", [0.15, 0.4])
async def test_random_faults(world: World, rate: float) -> None:
    """A share of all requests fails in a way that passes; every post is tagged.

    Bound: the n-th request gets the n-th draw of the seed, whoever asks, so the draws up to the last answer without
    a fault are all that is needed.
    """
    count = 80
    await world.fill(count)
    world.provider.faults = FaultPlan(rate, seed=15)
    async with world.bot() as bot:
        await world.until_settled(120)
        assert await bot.stop() == 0
    await check(world, most_requests=_draws(FaultPlan(rate, seed=15), count))


def _draws(plan: FaultPlan, answers: int) -> int:
    draws = 0
    while answers:
        draws += 1
        answers -= plan.draw() is None
    return draws


@full
async def test_posts_that_always_fail(world: World) -> None:
    """What no model accepts is refused, what no model answers usably is given up; the others are tagged.

    Bound: a refused post is asked once of each model; an unusable one takes TAGGING_MAX_ATTEMPTS attempts of
    1 + TAGGING_MAX_RETRIES requests.
    """
    refusals = ["moderation_403", "refusal_text", "content_policy_400", "context_length_400"]
    unusable = ["no_tags", "echo", "refusal_words"]
    await world.fill(40)
    for number, name in enumerate([*refusals, *unusable], start=1):
        world.provider.plan_for(marker(number), name)
    async with world.bot(TAGGING_MAX_ATTEMPTS="2", TAGGING_MAX_RETRIES="1") as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    failed = dict.fromkeys(range(1, 5), "refused") | dict.fromkeys(range(5, 8), "exhausted")
    await check(world, most_requests=33 + 4 * len(MODELS) + 3 * 2 * 2, failed=failed)


@pytest.mark.parametrize("key", ["sk-secret-key", ""], ids=["openrouter", "plain"])
@full
@on_sqlite
async def test_models_that_are_no_use(world: World, key: str) -> None:
    """A chain of models that are gone, forbidden, limited or without capacity ends at one that serves.

    Bound: each of them may be asked by what is in flight when it shows what it is; after that it is set aside.
    One without capacity says to come back after a second, and may be probed then.
    """
    bad = {
        "gone/model": "model_gone_404",
        "plain/model": "model_gone_plain_404",
        "forbidden/model": "forbidden_403",
        "limited/model": "rate_limit_provider",
        "full/model": "capacity_429",
    }
    count = 40
    await world.fill(count)
    world.provider.reset_after = 30
    for model, name in bad.items():
        world.provider.model_fault(model, name)
    chain = [*bad, "good/model"]
    settings = {"OPENROUTER_MODEL": chain[0], "OPENROUTER_FALLBACK_MODELS": ",".join(chain[1:])}
    async with world.bot(OPENROUTER_API_KEY=key, **settings) as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    probes = world.outcomes(["capacity_429"])
    await check(world, most_requests=count + CONCURRENCY * len(bad) + probes)
    assert all(post.tagging_attempts == 1 for post in await world.posts())


@on_postgresql
@full
async def test_a_plain_server_that_fails_at_random(world: World) -> None:
    """Without OpenRouter's own fallback every fault is the bot's to mend. Bound: as for random faults."""
    await world.fill(60)
    world.provider.openrouter = False
    world.provider.faults = FaultPlan(0.25, [*TRANSIENT, "no_tags", "echo"], seed=3)
    async with world.bot(OPENROUTER_API_KEY="") as bot:
        await world.until_settled(120)
        assert await bot.stop() == 0
    await check(world, most_requests=_draws(FaultPlan(0.25, [*TRANSIENT, "no_tags", "echo"], seed=3), 60))
