"""The whole way of a post: claimed, asked about, decided on, recorded."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select, update

from sandbox.provider import FaultPlan, ProviderSandbox, expected_tags
from services.availability.circuit_breaker import Aside
from services.availability.model_states import load_states
from services.clock import utc_now
from services.notifications.outbox import Outbox
from services.tagging.retry_policy import Policy
from storage.db.engine import Database
from storage.schema.tables import Attempt, Post
from tests.services.engine import ADMIN, CHAIN, Clock, Engine, running
from tests.services.posts import fill, keys, own_tags, tell_kinds
from tests.storage.rows import add_posts, add_user

MALFORMED = (
    "fenced",
    "prose",
    "think",
    "trailing_comma",
    "curly_quotes",
    "bare_array",
    "comma_line",
    "truncated_array",
)


async def test_every_post_through_fifteen_percent_faults(database: Database, provider: ProviderSandbox) -> None:
    """200 posts, 15 % of calls failing in OpenRouter's own ways: each has its own tags, at about 1.18 requests a post.

    The bound is looser than the 1.2 aimed at (1.26): which requests fail depends on the order in which they arrive.
    """
    provider.faults = FaultPlan(rate=0.15, seed=7)
    await fill(database, 200)
    async with running(database, provider) as engine:
        await engine.settled()
        posts = await engine.posts()
    assert all(post.tagging_status == "success" and own_tags(post) for post in posts)
    assert len(provider.requests) <= 1.2 * 200 + 12  # chance: three standard deviations of the faults' number


async def test_malformed_answers(database: Database, provider: ProviderSandbox) -> None:
    """Malformed in every way: at least 99 % with the right tags, at no more than 1.8 requests a post."""
    provider.faults = FaultPlan(rate=1.0, names=MALFORMED, seed=3)
    await fill(database, 100)
    async with running(database, provider) as engine:
        await engine.settled()
        right = [
            post
            for post in await engine.posts()
            if post.tags and set(keys(post.tags)) <= set(keys(expected_tags(post.text or "")))
        ]
    assert len(right) >= 99
    assert len(provider.requests) <= 180


async def test_a_gone_model_is_not_waited_for_twice(database: Database, provider: ProviderSandbox) -> None:
    """The primary has ended: what was in flight learns it, nobody after."""
    provider.openrouter = False
    provider.model_fault(CHAIN[0], "model_gone_404")
    await fill(database, 60)
    async with running(database, provider, concurrency=5) as engine:
        await engine.settled()
        assert await engine.count("success") == 60
    assert sum(request.model == CHAIN[0] for request in provider.requests) <= 5


async def test_an_outage_fails_nobody_and_ends_by_itself(database: Database, provider: ProviderSandbox) -> None:
    """All models down: no attempt is used up; with the first answer all posts that waited are worked off."""
    for model in CHAIN:
        provider.model_fault(model, "http_503")
    await fill(database, 60)
    async with running(database, provider, policy=Policy(0, 0.01, 1, 600)) as engine:

        async def paused() -> bool:
            return (await engine.tagging.provider_state()).state == "down"

        await engine.until(paused)
        assert await engine.count("failed") == 0
        assert all(post.tagging_attempts == 0 for post in await engine.posts())
        assert len(provider.requests) <= 10 * len(CHAIN)
        outbox = Outbox(database, utc_now)
        for notice in await outbox.due():
            await outbox.sent(notice, 1)
        for model in CHAIN:
            provider.model_fault(model, None)
        await engine.tagging.retry_failed_posts(limit=1, force=True)
        await engine.settled()
        assert await engine.count("success") == 60
    told = await tell_kinds(database)
    assert told.count(("admin", ADMIN)) == 2


async def test_a_wrong_key_pauses_at_once(database: Database, provider: ProviderSandbox) -> None:
    """At most what was in flight is spent, administrators get one message, no post is worse off."""
    for model in CHAIN:
        provider.model_fault(model, "account_401")
    await fill(database, 50)
    async with running(database, provider, concurrency=4) as engine:

        async def paused() -> bool:
            return (await engine.tagging.provider_state()).state == "paused"

        await engine.until(paused)
    assert len(provider.requests) <= 4
    assert await tell_kinds(database) == [("admin", ADMIN)]
    async with database.read() as session:
        states = await load_states(session)
        assert {state.reason for state in states.values()} == {Aside.ACCOUNT}
        assert (await session.execute(select(func.max(Post.tagging_attempts)))).scalar_one() == 0


async def test_what_every_model_refuses_fails_at_once(database: Database, provider: ProviderSandbox) -> None:
    """Moderation: failed with the reason, the owner is told once, the others are not delayed."""
    await fill(database, 10)
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 4).values(text="ЗАПРЕТНОЕ слово в посте"))
    provider.plan_for("ЗАПРЕТНОЕ", "moderation_403")
    async with running(database, provider) as engine:
        await engine.settled()
        posts = {post.id: post for post in await engine.posts()}
    assert posts[4].tagging_status == "failed"
    assert posts[4].failure_kind == "refused"
    assert "moderation" in (posts[4].tagging_error or "")
    assert [post.tagging_status for number, post in posts.items() if number != 4] == ["success"] * 9
    assert await tell_kinds(database) == [("failed", 1001)]


async def test_rows_that_need_no_request(database: Database, provider: ProviderSandbox) -> None:
    """Pending without text becomes skipped, pending with tags becomes success."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1, first=1, text=None)
        await add_posts(session, 1, 1, first=2, text=" \n ")
        await add_posts(session, 1, 1, first=3, tags=["есть"])
        await add_posts(session, 1, 1, first=4, tagging_status=None)
    async with running(database, provider) as engine:
        await engine.settled()

        async def all_done() -> bool:
            return await engine.count("success") == 2

        await engine.until(all_done)
        assert [post.tagging_status for post in await engine.posts()] == ["skipped", "skipped", "success", "success"]
    assert len(provider.requests) == 1


async def test_attempts_explain_a_post(database: Database, provider: ProviderSandbox) -> None:
    """One row a request: who was asked, who answered, what came of it."""
    provider.queue("http_503", "no_tags", None)
    provider.openrouter = False
    await fill(database, 1)
    async with running(database, provider) as engine:
        await engine.settled()
    async with database.read() as session:
        rows = list((await session.execute(select(Attempt).order_by(Attempt.id))).scalars())
    assert [(row.model_asked, row.outcome) for row in rows] == [
        (CHAIN[0], "server_error"),
        (CHAIN[1], "malformed"),
        (CHAIN[2], "tagged"),
    ]
    assert rows[0].http_status == 503
    assert rows[1].answer
    assert rows[2].prompt_tokens


async def test_the_parser_deletes_a_post_in_flight(database: Database, provider: ProviderSandbox) -> None:
    """Its answer is dropped and the others go on."""
    await fill(database, 3)
    provider.hold()
    async with running(database, provider) as engine:

        async def asked() -> bool:
            return len(provider.requests) == 3

        await engine.until(asked)
        async with database.write() as session:
            await session.execute(delete(Post).where(Post.id == 2))
        provider.release()
        await engine.settled()
        assert [post.id for post in await engine.posts()] == [1, 3]


async def test_a_stop_gives_back_what_it_holds(database: Database, provider: ProviderSandbox) -> None:
    """A clean stop lets requests in flight end and leaves no lease."""
    await fill(database, 30)
    async with running(database, provider, concurrency=2) as engine:

        async def some() -> bool:
            return await engine.count("success") >= 5

        await engine.until(some)
    posts = await engine.posts()
    assert all(post.lease_token is None for post in posts)
    assert len([post for post in posts if post.tagging_status == "success"]) == len(provider.requests)


async def test_leases_are_renewed_while_a_model_thinks(database: Database, provider: ProviderSandbox) -> None:
    """Or another process would ask about the same posts."""
    await fill(database, 3)
    provider.hold()
    async with running(database, provider, lease_seconds=3, timeout_seconds=60) as engine:
        await engine.until(lambda: are_asked(engine, 3))
        before = [post.lease_expires_at or utc_now() for post in await engine.posts()]

        async def renewed() -> bool:
            leases = [post.lease_expires_at for post in await engine.posts()]
            return all(now is not None and now > then for now, then in zip(leases, before, strict=True))

        await engine.until(renewed)
        provider.release()
        await engine.settled()
    assert len(provider.requests) == 3


async def test_a_stop_renews_leases_for_as_long_as_it_waits(database: Database, provider: ProviderSandbox) -> None:
    """Though they had nearly run out: no other process takes the posts meanwhile."""
    clock = Clock()
    await fill(database, 3)
    provider.hold()
    async with running(database, provider, clock=clock, lease_seconds=300, timeout_seconds=60) as engine:
        await engine.until(lambda: are_asked(engine, 3))
        clock.ahead = timedelta(seconds=299)
        engine.worker.stop()

        async def renewed() -> bool:
            leases = [post.lease_expires_at for post in await engine.posts()]
            return all(until is not None and until >= utc_now() + timedelta(seconds=590) for until in leases)

        await engine.until(renewed)
        provider.release()
    assert await engine.count("success") == 3


async def test_what_a_person_asks_for_is_the_next_to_leave(database: Database, provider: ProviderSandbox) -> None:
    """Before everything that waits."""
    await fill(database, 9)
    provider.hold()
    async with running(database, provider, concurrency=2, timeout_seconds=60) as engine:
        await engine.until(lambda: are_asked(engine, 2))
        wanted = next(post for post in await engine.posts() if post.lease_token is None)
        await engine.tagging.update_post_tags(wanted.id)
        provider.release()
        await engine.settled()
    assert any(str(wanted.text) in request.message for request in provider.requests[2:4])


async def are_asked(engine: Engine, count: int) -> bool:
    return len(engine.provider.requests) == count


async def test_a_server_without_extras(database: Database, provider: ProviderSandbox) -> None:
    """No key: no `models`, no plugins."""
    await fill(database, 1)
    async with running(database, provider, key="") as engine:
        await engine.settled()
    assert "models" not in provider.requests[0].body
    assert "plugins" not in provider.requests[0].body


async def test_models_sent_are_at_most_three(database: Database, provider: ProviderSandbox) -> None:
    """With a key the next of the chain go along."""
    await fill(database, 1)
    async with running(database, provider) as engine:
        await engine.settled()
    assert provider.requests[0].body["models"] == list(CHAIN[:3])


async def test_text_without_a_post(database: Database, provider: ProviderSandbox) -> None:
    """generate_tags_for_text tries the chain, too."""
    provider.openrouter = False
    provider.queue("http_500", None)
    async with running(database, provider) as engine:
        text = "Открылась новая станция метро в центре города"
        generated = await engine.tagging.generate_tags_for_text(text)
    assert list(generated.tags) == expected_tags(text)
    assert (generated.model, generated.requests) == (CHAIN[1], 2)


async def test_refused_by_all_that_are_left_fails(database: Database, provider: ProviderSandbox) -> None:
    """One model refuses the post, the other has gone: nobody is left to wait for."""
    provider.openrouter = False
    provider.queue("moderation_403")
    provider.model_fault("b/model", "model_gone_404")
    await fill(database, 1)
    async with running(database, provider, chain=("a/model", "b/model")) as engine:
        await engine.settled()
        post = (await engine.posts())[0]
    assert (post.tagging_status, post.failure_kind) == ("failed", "refused")


async def test_force_asks_the_only_model_though_it_was_gone(database: Database, provider: ProviderSandbox) -> None:
    """A pause does not outlive its repair."""
    provider.model_fault("a/model", "model_gone_404")
    await fill(database, 2)
    async with running(database, provider, chain=("a/model",)) as engine:

        async def gone() -> bool:
            return (await engine.tagging.provider_state()).state == "down"

        await engine.until(gone)
        provider.model_fault("a/model", None)
        await engine.tagging.retry_failed_posts(force=True)
        await engine.settled()
        assert await engine.count("success") == 2
