"""The whole way of a post: claimed, asked about, decided on, recorded."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update

from sandbox.provider import FaultPlan, ProviderSandbox, expected_tags
from services.clock import utc_now
from services.decisions import Policy
from services.outbox import Outbox
from services.states import load_states
from services.upstream import Aside
from storage.database import Database
from storage.models import Attempt, OutboxRow, Post
from tests.services.engine import ADMIN, CHAIN, FAST, running
from tests.storage.rows import add_posts, add_user

WORDS = ("метро", "концерт", "погода", "рецепт", "музей", "выборы", "ремонт", "футбол", "космос", "экономика")
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


async def fill(database: Database, count: int, **values: object) -> list[str]:
    """`count` posts of one user, each with words of its own."""
    texts = [
        f"{WORDS[n % 10]} {WORDS[n // 10 % 10]}: событие{chr(1072 + n % 32) * 4} открытие города" for n in range(count)
    ]
    async with database.write() as session:
        await add_user(session, 1)
        for number, text in enumerate(texts, start=1):
            await add_posts(session, 1, 1, first=number, **{"text": text, **values})
    return texts


def own_tags(post: Post) -> bool:
    return post.tags == expected_tags(post.text or "")


async def tell_kinds(database: Database) -> list[tuple[str, int]]:
    async with database.read() as session:
        rows = await session.execute(select(OutboxRow.kind, OutboxRow.telegram_id).order_by(OutboxRow.id))
        return [(kind, who) for kind, who in rows]


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
            post for post in await engine.posts() if post.tags and set(post.tags) <= set(expected_tags(post.text or ""))
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
