"""Models that are all down, an account that is refused, and a first model that is dead."""

from __future__ import annotations

import pytest

from tests.end_to_end.process import ADMIN
from tests.faults.checks import check
from tests.faults.marks import full, on_postgresql, on_sqlite
from tests.faults.world import CONCURRENCY, MODELS, World, marker

pytestmark = pytest.mark.timeout(240)

OUTAGE, RECOVERED, REFUSED = "the provider fails", "answers again", "refuses the account"
OUT_OF_CREDIT = "out of credit"
FAULTS_TO_OPEN, SHORTEST_PAUSE = 3, 4.0
#: No retry of a post's own could save these posts in time: only the end of the outage does.
SLOW = {"TAGGING_BACKOFF_SECONDS": "3600"}
NO_SECOND_CHANCE = {**SLOW, "TAGGING_MAX_ATTEMPTS": "1", "TAGGING_MAX_RETRIES": "0"}


@full
@pytest.mark.parametrize(
    ("key", "settings"),
    [
        pytest.param("sk-secret-key", SLOW, id="openrouter"),
        pytest.param("", SLOW, id="plain", marks=full),
        pytest.param("sk-secret-key", NO_SECOND_CHANCE, id="no second chance", marks=full),
    ],
)
@on_postgresql
async def test_every_model_is_down_for_a_while(world: World, key: str, settings: dict[str, str]) -> None:
    """Posts wait and none fails or loses an attempt; administrators hear of the beginning, and once of the end.

    Bound: three faults in a row show that a model is down, and as many more requests are on their way to it then as
    TAGGING_CONCURRENCY leaves; from then on a probe each FIRST_PAUSE (5 s ± 20 %) at most. After that each post once.
    """
    count = 40
    await world.fill(count)
    for model in MODELS:
        world.provider.model_fault(model, "http_503")
    async with world.bot(OPENROUTER_API_KEY=key, **settings) as bot:
        await world.admin_ready()
        await world.until_told(ADMIN, OUTAGE)
        await world.until(lambda: world.provider.in_flight == 0)
        await world.until_requests(len(world.provider.requests) + 1)
        posts = await world.posts()
        assert {post.tagging_status for post in posts} <= {"pending", "retrying"}
        assert {post.tagging_attempts for post in posts} == {0}
        assert world.told(ADMIN, RECOVERED) == []
        for model in MODELS:
            world.provider.model_fault(model, None)
        await world.until_settled()
        await world.until_told(ADMIN, RECOVERED)
        assert await bot.stop() == 0
    assert len(world.told(ADMIN, OUTAGE)) == len(world.told(ADMIN, RECOVERED)) == 1
    faults = [record.at for record in world.provider.requests if record.outcome == "http_503"]
    probes = (faults[-1] - faults[0]) // SHORTEST_PAUSE + 1
    most = len(MODELS) * (FAULTS_TO_OPEN + CONCURRENCY - 1 + int(probes))
    assert len(faults) <= most
    await check(world, most_requests=count + most)
    assert {post.tagging_attempts for post in await world.posts()} == {1}


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("account_401", CONCURRENCY),
        pytest.param("account_402", CONCURRENCY, marks=full),
        pytest.param("forbidden_403", CONCURRENCY + len(MODELS), marks=full),
    ],
)
@on_sqlite
async def test_the_account_is_refused(world: World, name: str, most: int) -> None:
    """Tagging pauses, administrators are told once; after mending, Try now starts it again.

    Bound: what was in flight when it turned out, for 403 also one for each model; then each post once.
    """
    count, told = 30, OUT_OF_CREDIT if name == "account_402" else REFUSED
    await world.fill(count)
    for model in MODELS:
        world.provider.model_fault(model, name)
    async with world.bot(**NO_SECOND_CHANCE) as bot:
        await world.admin_ready()
        notice = await world.until_told(ADMIN, told)
        await world.until(lambda: world.provider.in_flight == 0)
        assert len(world.provider.requests) <= most
        for model in MODELS:
            world.provider.model_fault(model, None)
        await world.telegram.press(ADMIN, notice, 0)
        await world.until_settled()
        await world.until_told(ADMIN, RECOVERED)
        assert await bot.stop() == 0
    assert len(world.told(ADMIN, told)) == 1
    await check(world, most_requests=count + most)


@pytest.mark.parametrize(
    ("key", "name"),
    [("sk-secret-key", "http_503"), ("", "http_503"), ("sk-secret-key", "empty"), ("", "drop")],
    ids=["openrouter 503", "plain 503", "openrouter empty", "plain drop"],
)
@full
@on_sqlite
async def test_the_first_model_is_dead(world: World, key: str, name: str) -> None:
    """The next one serves: 1.1 requests a post at most.

    Bound: what is in flight when it turns out, and a probe after each pause (5 s and more).
    """
    count = 100
    await world.fill(count)
    world.provider.model_fault(MODELS[0], name)
    async with world.bot(OPENROUTER_API_KEY=key) as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    await check(world, most_requests=count * 11 // 10)


@full
@on_postgresql
async def test_posts_that_no_model_accepts_among_others(world: World) -> None:
    """5 % of the posts are refused by moderation: they fail with that reason, the others are tagged.

    Bound: a refused post is asked once of each model.
    """
    count, refused = 200, range(1, 11)
    await world.fill(count)
    for number in refused:
        world.provider.plan_for(marker(number * 20), "moderation_403")
    async with world.bot() as bot:
        await world.until_settled()
        assert await bot.stop() == 0
    failed = {number * 20: "refused" for number in refused}
    await check(world, most_requests=count - len(failed) + len(failed) * len(MODELS), failed=failed)
    errors = {post.tagging_error or "" for post in await world.posts() if post.id in failed}
    assert all("refused by moderation" in error for error in errors)
