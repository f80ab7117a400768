"""Several posts in one request: each gets its own tags, and a failure costs as few requests as can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update

from sandbox.provider import FaultPlan, ProviderSandbox, RequestRecord, expected_tags
from sandbox.provider.malformed import MALFORMED
from sandbox.provider.mixed import MIXED
from storage.db.engine import Database
from storage.queue.claim import Priority
from storage.schema.tables import Attempt, ModelStateRow, Post
from tests.faults.world import marker, text_of
from tests.services.engine import CHAIN, FAST, running
from tests.services.posts import keys
from tests.storage.rows import NOW, add_posts, add_user

BATCH = 10


async def fill(database: Database, provider: ProviderSandbox, count: int, **values: object) -> list[str]:
    """Posts of one user, each with words of its own."""
    texts = [text_of(number) for number in range(1, count + 1)]
    async with database.write() as session:
        await add_user(session, 1)
        for number, text in enumerate(texts, start=1):
            await add_posts(session, 1, 1, first=number, **{"text": text, **values})
    provider.learn(*texts)
    return texts


def sizes(provider: ProviderSandbox) -> list[int]:
    """How many posts each request was about."""
    return [record.message.count("\nBEGIN ") for record in provider.requests]


def about(provider: ProviderSandbox, number: int) -> list[RequestRecord]:
    return [record for record in provider.requests if marker(number) in record.message]


def all_own(posts: list[Post]) -> bool:
    return all(
        post.tagging_status == "success" and keys(post.tags or ()) == keys(expected_tags(post.text or ""))
        for post in posts
    )


async def test_a_backlog_goes_out_in_full_requests(database: Database, provider: ProviderSandbox) -> None:
    """Ten posts each, and each post once; tokens and cost stand on one row a request."""
    await fill(database, provider, 50)
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
        assert all_own(await engine.posts())
    assert sizes(provider) == [BATCH] * 5
    async with database.read() as session:
        attempts = list((await session.execute(select(Attempt))).scalars())
    assert len(attempts) == 50
    assert len({attempt.request_id for attempt in attempts}) == 5
    assert len([attempt for attempt in attempts if attempt.prompt_tokens is not None]) == 5


async def test_one_post_alone_does_not_wait_for_company(database: Database, provider: ProviderSandbox) -> None:
    """It goes at once, in the form of a request about one."""
    await fill(database, provider, 1)
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
    assert "Post 1" in provider.requests[0].message
    assert set(provider.requests[0].body["response_format"]["json_schema"]["schema"]["properties"]) == {"tags"}


async def test_long_posts_share_a_request_by_their_tokens(database: Database, provider: ProviderSandbox) -> None:
    """Ten of the longest posts are more than a small model can read at once."""
    async with database.write() as session:
        await add_user(session, 1)
        for number in range(1, 11):
            await add_posts(session, 1, 1, first=number, text=(text_of(number) + " слово" * 400)[:2000])
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
    assert all(1 < size < BATCH for size in sizes(provider)[:1])
    assert all(len(record.message) < 12_000 for record in provider.requests)


async def test_what_was_asked_for_goes_without_the_backlog(database: Database, provider: ProviderSandbox) -> None:
    """A person waits for it: an answer about fewer posts comes sooner."""
    await fill(database, provider, 30)
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 7).values(requested_at=NOW, work_class=Priority.ASKED))
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
    assert [sizes(provider)[0], marker(7) in provider.requests[0].message] == [1, True]


@pytest.mark.parametrize("name", sorted(MIXED))
async def test_no_post_gets_anothers_tags(database: Database, provider: ProviderSandbox, name: str) -> None:
    """Whatever a model does with the posts' numbers: in each answer, until a post goes alone."""
    count = 40
    await fill(database, provider, count)
    provider.faults = FaultPlan(rate=1.0, names=(name,), seed=1)
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
        assert all_own(await engine.posts())
    # At worst an answer of no use, one more, and each post alone.
    assert len(provider.requests) <= count // BATCH * 2 + count


@pytest.mark.parametrize("seed", range(5))
async def test_no_post_gets_anothers_tags_from_a_mix(database: Database, provider: ProviderSandbox, seed: int) -> None:
    """Mixed up, malformed, failed and right answers in any order."""
    await fill(database, provider, 60)
    names = (*MIXED, *MALFORMED, "http_500", "empty", "truncated_body")
    provider.faults = FaultPlan(rate=0.7, names=names, seed=seed)
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
        posts = await engine.posts()
    assert all(post.tags and set(keys(post.tags)) <= set(keys(expected_tags(post.text or ""))) for post in posts)


async def test_a_post_that_was_left_out_goes_alone(database: Database, provider: ProviderSandbox) -> None:
    """Only that one costs another request, at once."""
    await fill(database, provider, BATCH)
    provider.queue("left_out")
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
        assert all_own(await engine.posts())
    assert [len(provider.requests), provider.requests[1].message.count("BEGIN ")] == [2, 1]


async def test_an_answer_of_no_use_is_asked_for_once_more_as_a_whole(
    database: Database, provider: ProviderSandbox
) -> None:
    """By the next model; only then each post alone."""
    await fill(database, provider, BATCH)
    provider.queue("echo", "echo")
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
        assert all_own(await engine.posts())
    assert [record.model for record in provider.requests[:3]] == list(CHAIN[:3])
    assert len(provider.requests) == 2 + BATCH


async def test_a_fault_costs_a_request_and_not_one_a_post(database: Database, provider: ProviderSandbox) -> None:
    """The posts stay together, with one delay for all."""
    await fill(database, provider, BATCH)
    provider.queue("http_500", "http_503")
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
        assert all_own(await engine.posts())
    # As a whole, once more as a whole, and by halves after that.
    assert len(provider.requests) == 4


async def test_a_refusal_is_narrowed_down_to_the_post_at_fault(database: Database, provider: ProviderSandbox) -> None:
    """By halves; the others are served, and the refusals of the whole are not held against any post."""
    await fill(database, provider, BATCH)
    provider.plan_for(marker(4), "moderation_403")
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.settled()
        posts = await engine.posts()
    failed = [post for post in posts if post.tagging_status == "failed"]
    assert [post.id for post in failed] == [4]
    assert failed[0].failure_kind == "refused"
    assert all_own([post for post in posts if post.id != 4])
    # 10, 5 and 5, 3 and 2, 2 and 1 or 1, each for the part with the post; at the end each model by itself.
    assert len(provider.requests) <= 1 + 2 + 2 + 2 + 2 + len(CHAIN)


async def test_a_post_that_breaks_the_model_takes_no_other_with_it(
    database: Database, provider: ProviderSandbox
) -> None:
    """A 500 whenever it is in a request: the halves end with it alone, the others get their tags."""
    await fill(database, provider, BATCH * 2)
    provider.plan_for(marker(4), "http_500")
    async with running(database, provider, batch_size=BATCH) as engine:

        async def others_tagged() -> bool:
            return await engine.count("success") == BATCH * 2 - 1

        await engine.until(others_tagged)


async def test_a_request_in_flight_is_given_back_whole(database: Database, provider: ProviderSandbox) -> None:
    """At a stop every post of it is free again."""
    await fill(database, provider, BATCH)
    provider.hold()
    async with running(database, provider, batch_size=BATCH, stop_seconds=0.01) as engine:
        await engine.until(lambda: _in_flight(provider))
    async with database.read() as session:
        held = (await session.execute(select(Post.id).where(Post.lease_token.is_not(None)))).all()
    assert not held


async def _in_flight(provider: ProviderSandbox) -> bool:
    return provider.in_flight == 1


async def test_an_edit_in_flight_keeps_its_post_only(database: Database, provider: ProviderSandbox) -> None:
    """The answer is for the text that was asked about: that post is asked about again, the others are done."""
    await fill(database, provider, BATCH)
    provider.hold()
    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.until(lambda: _in_flight(provider))
        provider.learn(text_of(99))
        async with database.write() as session:
            await session.execute(update(Post).where(Post.id == 3).values(text=text_of(99)))
        provider.release()
        await engine.settled()
        assert all_own(await engine.posts())
    assert len(provider.requests) == 2


@pytest.mark.parametrize("retries", [0, 1])
async def test_a_model_that_cannot_do_several_posts(
    database: Database, provider: ProviderSandbox, retries: int
) -> None:
    """However few requests an attempt has: after an attempt without a usable answer each post goes alone."""
    await fill(database, provider, BATCH)
    provider.queue(*["echo"] * (1 + retries))
    policy = replace(FAST, max_retries=retries)
    async with running(database, provider, batch_size=BATCH, policy=policy) as engine:
        await engine.settled()
        assert all_own(await engine.posts())
    assert sizes(provider)[: 1 + retries] == [BATCH] * (1 + retries)
    assert len(provider.requests) == 1 + retries + BATCH


async def test_a_models_probe_puts_off_no_other_post(database: Database, provider: ProviderSandbox) -> None:
    """The first model is to be tested: one post does it, the others go to the next model at once."""
    await fill(database, provider, 30)
    async with database.write() as session:
        row = {"model": CHAIN[0], "reason": "down", "faults": 3, "pauses": 1, "aside_until": NOW, "since": NOW}
        await session.execute(insert(ModelStateRow).values(**row))
    provider.hold()

    async def both_are_asked() -> bool:
        return {record.model for record in provider.requests} == set(CHAIN[:2])

    async with running(database, provider, batch_size=BATCH) as engine:
        await engine.until(both_are_asked)
        provider.release()
        await engine.settled()
        assert all_own(await engine.posts())
    assert sizes(provider)[0] == 1
