"""Similar tags: when a model is asked for pairs, and what is never asked or suggested again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from sandbox.provider import ProviderSandbox
from services.availability.rate_limit import FREE_SCOPE, RateLimit
from services.clock import utc_day, utc_now
from services.llm.client import Provider
from services.tagging.similar_tags import NEW_POSTS, SimilarPair, SimilarTags
from services.tagging.single_request import TrialError, TrialProblem
from services.tags.errors import TagError, TagProblem
from services.tags.rules import RuleSettings
from services.tags.user_rules import UserRules
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database
from storage.queue import limits
from tests.storage.rows import add_posts, add_user

FREE = "some/model:free"
TAGGED = {"tagging_status": "success"}


def _nothing() -> None:
    return None


@asynccontextmanager
async def similar_tags(database: Database, provider: ProviderSandbox) -> AsyncIterator[SimilarTags]:
    """User 1 has these tags, counted; no worker runs."""
    vocabularies = Vocabularies(database, utc_now, _nothing)
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        for number, tags in enumerate((["ии", "город"], ["ии"], ["искусственный интеллект"], ["деревня"]), 1):
            await add_posts(session, 1, 1, first=number, tags=tags, **TAGGED)
    await vocabularies.tags(1)
    async with Provider(provider.url, "key", 5, utc_now) as client:
        yield SimilarTags(database, client, (FREE,), RateLimit(0), vocabularies, utc_now, enabled=True)


def names(pair: SimilarPair | None) -> tuple[str, str, int] | None:
    return None if pair is None else (pair.tag.name, pair.other.name, pair.left)


async def test_a_pair_is_decided_once_and_asked_for_once_in_many_posts(
    database: Database, provider: ProviderSandbox
) -> None:
    provider.similar = [("ии", "искусственный интеллект"), ("город", "деревня")]
    async with similar_tags(database, provider) as similar:
        # A second press meanwhile asks no model.
        await asyncio.gather(similar.next(1), similar.next(1))
        assert len(provider.requests) == 1
        pair = await similar.next(1)
        assert names(pair) == ("искусственный интеллект", "ии", 2)
        assert pair is not None
        with pytest.raises(TagError) as other_persons:
            await similar.merge(2, pair.tag.id, pair.other.id)
        assert other_persons.value.problem is TagProblem.DECIDED
        rest = await similar.differ(1, pair.other.id, pair.tag.id)
        assert rest is not None
        assert rest.left == 1
        made = await similar.merge(1, rest.tag.id, rest.other.id)
        assert made.change.tag.uses == 2
        for decided in (pair, rest):
            with pytest.raises(TagError):
                await similar.merge(1, decided.tag.id, decided.other.id)
        async with database.write() as session:
            await add_posts(session, 1, NEW_POSTS - 1, first=10, tags=["ии"], **TAGGED)
        assert await similar.next(1) is None
        assert len(provider.requests) == 1
        async with database.write() as session:
            await add_posts(session, 1, 1, first=1000, tags=["ии"], **TAGGED)
        assert await similar.next(1) is None
        assert len(provider.requests) == 2


async def _posts_wait(database: Database) -> None:
    async with database.write() as session:
        await add_posts(session, 2, 1, first=50)


async def _quota_scarce(database: Database) -> None:
    async with database.write() as session:
        await limits.ensure(session, [FREE_SCOPE])
        await limits.learn(
            session, FREE_SCOPE, day_limit=50, day_used=26, day=utc_day(utc_now()), day_limit_stated=True
        )


async def _off(database: Database) -> None:
    await UserRules(database, utc_now).put(1, RuleSettings(is_on=False))


@pytest.mark.parametrize(
    ("prevent", "problem"),
    [
        (_posts_wait, TrialProblem.POSTS_WAIT),
        (_quota_scarce, TrialProblem.SCARCE),
        (_off, TrialProblem.OFF),
    ],
)
async def test_no_request_that_can_be_avoided(
    database: Database, provider: ProviderSandbox, prevent: Callable[[Database], Awaitable[None]], problem: TrialProblem
) -> None:
    async with similar_tags(database, provider) as similar:
        await prevent(database)
        with pytest.raises(TrialError) as refused:
            await similar.next(1)
        assert refused.value.problem is problem
        assert provider.requests == []


async def test_a_request_that_failed_may_be_made_again(database: Database, provider: ProviderSandbox) -> None:
    provider.similar = [("ии", "искусственный интеллект")]
    provider.queue("empty")
    async with similar_tags(database, provider) as similar:
        with pytest.raises(TrialError) as refused:
            await similar.next(1)
        assert refused.value.problem is TrialProblem.FAILED
        assert names(await similar.next(1)) == ("искусственный интеллект", "ии", 1)


async def test_only_tags_that_stand_are_suggested(database: Database, provider: ProviderSandbox) -> None:
    provider.similar = [("ии", "искусственный интеллект")]
    async with similar_tags(database, provider) as similar:
        pair = await similar.next(1)
        assert pair is not None
        await Vocabularies(database, utc_now, _nothing).ban(1, pair.tag.id)
        assert await similar.next(1) is None
