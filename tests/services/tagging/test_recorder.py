"""What a finished request means for its posts and its models, written down."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import insert, select

from services.availability.model_states import load_states
from services.availability.rate_limit import RateLimit
from services.llm.client import Call, Request
from services.llm.outcomes import Kind, Outcome, Usage
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy
from services.tagging.tagging_request import FinishedRequest, TaggingRequest
from storage.db.engine import Database
from storage.queue import claim
from storage.queue.claim import ClaimedPost
from storage.schema.tables import Attempt, Post
from tests.storage.rows import NOW, add_posts, add_user

CHAIN = ("first/model", "second/model")
TAGGED, DOWN = Outcome(Kind.TAGGED, tags=("тег",)), Outcome(Kind.SERVER_ERROR, "HTTP 500")


@pytest.fixture
async def posts(database: Database) -> list[ClaimedPost]:
    """Three that are claimed; another one was served a moment ago."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 3)
        await add_posts(session, 1, 1, first=9, tagging_status="success")
        values = {"request_id": "r", "model_asked": "m", "outcome": "tagged", "seconds": 1.0}
        await session.execute(insert(Attempt).values(post_id=9, at=NOW - timedelta(seconds=30), **values))
        return await claim.claim_posts(session, limit=9, now=NOW, lease_seconds=300, token="t", after_user=0)


def finished(posts: list[ClaimedPost], *outcomes: Outcome) -> FinishedRequest:
    request = Request(tuple(post.text or "" for post in posts), CHAIN[:1])
    call = Call(request, outcomes, CHAIN[0], 200, 1.0, Usage(10, 5, 0.1), NOW)
    return FinishedRequest(TaggingRequest(tuple(posts), CHAIN[:1]), call)


async def record(database: Database, *group: FinishedRequest) -> None:
    recorder = Recorder(CHAIN, Policy(), RateLimit(0), frozenset(), lambda: NOW, Random(1))
    async with database.write() as session:
        await recorder.record(session, group)


@pytest.mark.parametrize(("suspects", "faults"), [(0, 1), (1, 1), (2, 1), (3, 0)])
async def test_a_fault_is_the_models_unless_all_its_posts_are_suspects(
    database: Database, posts: list[ClaimedPost], suspects: int, faults: int
) -> None:
    """What failed with them fails nowhere else."""
    mixed = [post._replace(suspect=number < suspects) for number, post in enumerate(posts)]
    await record(database, finished(mixed, DOWN, DOWN, DOWN))
    async with database.read() as session:
        states = await load_states(session)
    assert (states[CHAIN[0]].faults if CHAIN[0] in states else 0) == faults


async def test_what_failed_together_is_due_together(database: Database, posts: list[ClaimedPost]) -> None:
    """Each with a delay of its own, they could not be asked about in one request again."""
    await record(database, finished(posts, DOWN, DOWN, DOWN))
    async with database.read() as session:
        times = list(await session.scalars(select(Post.next_attempt_at).where(Post.id < 9)))
    assert len(times) == 3
    assert len(set(times)) == 1
    assert times[0] is not None


async def test_other_requests_have_a_delay_of_their_own(database: Database, posts: list[ClaimedPost]) -> None:
    """Or all that failed at one time would come back at one time."""
    await record(database, *(finished([post], DOWN) for post in posts))
    async with database.read() as session:
        assert len(set(await session.scalars(select(Post.next_attempt_at).where(Post.id < 9)))) == 3


def test_a_request_in_parts() -> None:
    """Each knows the request that it was in; only one tells what that cost."""
    posts = [ClaimedPost(number, 1, f"текст {number}", (), 0, 1, None, None, "t") for number in range(3)]
    whole = finished(posts, DOWN, TAGGED, DOWN)
    parts = whole.singles()
    assert [part.posts for part in parts] == [(post,) for post in posts]
    assert [part.call.outcomes for part in parts] == [(DOWN,), (TAGGED,), (DOWN,)]
    assert [(part.batch_size, part.any_tagged) for part in parts] == [(3, True)] * 3
    assert [part.call.usage for part in parts] == [whole.call.usage, Usage(), Usage()]
