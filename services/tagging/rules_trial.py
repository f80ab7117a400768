"""New rules tried on a person's last posts by one request, before they are saved. Nothing is stored."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.admission import SHORTEST_WAIT
from services.availability.model_choice import candidates, choose_model, is_paused, models_to_send
from services.availability.model_names import is_free
from services.availability.model_states import load_states
from services.availability.rate_limit import FREE_SCOPE, RateLimit, SharedRateLimits
from services.clock import Clock, utc_day
from services.llm.client import Provider, Request
from services.llm.outcomes import Kind
from services.tagging import vocabulary
from services.tagging.tagging_request import FinishedRequest, TaggingRequest
from services.tags.rules import RuleSettings
from services.tags.user_rules import UserRules, check_has_tags
from services.text import has_text
from storage.db.engine import Database
from storage.queue import limits
from storage.queue.claim import ClaimedPost, Priority
from storage.tags import rules as rows

POSTS_TRIED = 5
#: Posts that are looked through for some with text.
_LOOKED_THROUGH = 50
#: Slots of the rate limit that a trial waits for, and seconds for each at most.
_SLOTS_AWAITED, _LONGEST_WAIT = 5, 5.0


class TrialProblem(StrEnum):
    NO_POSTS = "there are no posts with text yet"
    DISABLED = "tagging is disabled"
    PAUSED = "tagging is paused: no request is sent now"
    BUSY = "the limit of requests a minute is reached: try again in a minute"
    FAILED = "the model gave no usable answer"


class TrialError(Exception):
    """`problem` says in plain words why nothing was tried; the chat translates it."""

    def __init__(self, problem: TrialProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class TriedPost:
    """A post with its tags and those under the new rules; None: the answer left it out."""

    id: int
    text: str
    url: str | None
    old: tuple[str, ...]
    new: tuple[str, ...] | None


class RulesTrial:
    def __init__(
        self,
        database: Database,
        provider: Provider,
        chain: Sequence[str],
        rate_limit: RateLimit,
        clock: Clock,
        *,
        enabled: bool,
    ) -> None:
        self._database = database
        self._provider = provider
        self._chain = tuple(chain)
        self._rate_limits = SharedRateLimits(rate_limit, chain)
        self._rules = UserRules(database, clock)
        self._clock = clock
        self._enabled = enabled

    async def run(self, user_id: int, settings: RuleSettings, channel_id: int | None = None) -> list[TriedPost]:
        """Tags of the newest posts (of the channel, if given) under these settings. Raises RuleError, TrialError."""
        rules = await self._rules.would_be(user_id, settings, channel_id)
        if not self._enabled:
            raise TrialError(TrialProblem.DISABLED)
        async with self._database.read() as session:
            if rules.is_closed:
                await check_has_tags(session, user_id)
            found = await rows.last_posts(session, user_id, channel_id, _LOOKED_THROUGH)
        posts = [row for row in found if has_text(row.text)][:POSTS_TRIED]
        if not posts:
            raise TrialError(TrialProblem.NO_POSTS)
        claimed = tuple(_as_claimed(row.id, user_id, row.text) for row in posts)
        models = await self._reserved()
        async with self._database.read() as session:
            (request,) = await vocabulary.offer(session, [TaggingRequest(claimed, models, rules=rules)])
        texts = tuple(post.text or "" for post in claimed)
        call = await self._provider.ask(Request(texts, models, request.offers, rules))
        if call.outcome.kind is not Kind.TAGGED:
            raise TrialError(TrialProblem.FAILED)
        async with self._database.read() as session:
            _, own = await vocabulary.own_outcomes(session, [FinishedRequest(request, call)], adds=False)
        return [TriedPost(row.id, row.text, row.url, tuple(row.tags or ()), own.names.get(row.id)) for row in posts]

    async def _reserved(self) -> tuple[str, ...]:
        """The models to ask; the worker may take the rate limit's next slots before us."""
        for _ in range(_SLOTS_AWAITED):
            async with self._database.write() as session:
                models = await self._reserve(session)
            if not isinstance(models, float):
                return models
            await asyncio.sleep(min(models, _LONGEST_WAIT))
        raise TrialError(TrialProblem.BUSY)

    async def _reserve(self, session: AsyncSession) -> tuple[str, ...] | float:
        """The models to ask, with a place in the rate limit and the day's quota; or the seconds until the next slot."""
        now = self._clock()
        states = await load_states(session)
        allowed = candidates(self._chain, states, now)
        model = choose_model(self._chain, allowed, (), ())
        if model is None or is_paused(self._chain, states, now):
            raise TrialError(TrialProblem.PAUSED)
        known = await self._rate_limits.load(session)
        if wait := self._rate_limits.wait(model, known, now):
            return wait
        if not await self._rate_limits.take_slot(session, model, known, now):
            return SHORTEST_WAIT
        if is_free(model):
            await limits.count(session, FREE_SCOPE, utc_day(now), 1)
        return models_to_send(model, self._chain, allowed, ()) if self._provider.extras else (model,)


def _as_claimed(post_id: int, user_id: int, text: str) -> ClaimedPost:
    return ClaimedPost(post_id, user_id, text, (), 0, Priority.ASKED, None, None, "")
