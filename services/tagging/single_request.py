"""A request that a person asks for beside the worker's: its place in the rate limit and the day's quota."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.admission import SHORTEST_WAIT
from services.availability.model_choice import candidates, choose_model, is_paused, models_to_send
from services.availability.model_names import is_free
from services.availability.model_states import load_states
from services.availability.rate_limit import FREE_SCOPE, RateLimit, SharedRateLimits
from services.clock import Clock, utc_day
from services.llm.client import Provider
from storage.db.engine import Database
from storage.queue import limits

#: Slots of the rate limit that the request waits for, and seconds for each at most.
_SLOTS_AWAITED, _LONGEST_WAIT = 5, 5.0


class TrialProblem(StrEnum):
    NO_POSTS = "there are no posts with text yet"
    DISABLED = "tagging is disabled"
    OFF = "tagging is off by the user's rules"
    PAUSED = "tagging is paused: no request is sent now"
    BUSY = "the limit of requests a minute is reached: try again in a minute"
    SCARCE = "the day's quota is scarce: new posts need it"
    POSTS_WAIT = "posts wait for their tags: they go first"
    FAILED = "the model gave no usable answer"


class TrialError(Exception):
    """`problem` says in plain words why nothing was asked; the chat translates it."""

    def __init__(self, problem: TrialProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


class SingleRequest:
    def __init__(
        self, database: Database, provider: Provider, chain: Sequence[str], rate_limit: RateLimit, clock: Clock
    ) -> None:
        self._database = database
        self._provider = provider
        self._chain = tuple(chain)
        self._rate_limits = SharedRateLimits(rate_limit, chain)
        self._clock = clock

    async def reserved(self) -> tuple[str, ...]:
        """The models to ask; the worker may take the rate limit's next slots before us. Raises TrialError."""
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
