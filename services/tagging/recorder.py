"""Writes a group of finished requests in the caller's transaction: posts, attempts, models' states, notices."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from secrets import token_hex

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, ModelState
from services.availability.model_choice import pause_reason
from services.availability.rate_limit import RateLimit
from services.llm.client import Call
from services.llm.outcomes import DOWN_KINDS, Kind
from services.tagging import vocabulary
from services.tagging.model_health import ModelHealth, is_lately
from services.tagging.retry_policy import AskAgain, AttemptTrail, GiveUp, Policy, RetryAt, Tagged, Upstream, decide
from services.tagging.row_values import PostOutcome, attempt_row, failed_values, log_outcome, post_values
from services.tagging.tagging_request import FinishedRequest
from services.tagging.vocabulary import OwnTags
from storage import outbox
from storage.accounts import people as people_rows
from storage.queue import attempt_log, leases
from storage.queue.claim import ClaimedPost, Priority

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Recorded:
    tagged: int = 0
    failed: int = 0
    retried: int = 0
    notices: bool = False
    #: An attempt is in doubt: it waits for others to be served.
    waiting: bool = False
    answered: int = 0
    timed_out: int = 0
    refused_access: bool = False
    states: dict[str, ModelState] | None = None


class Recorder:
    def __init__(
        self,
        chain: Sequence[str],
        policy: Policy,
        rate_limit: RateLimit,
        admin_ids: Collection[int],
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._chain = tuple(chain)
        self._policy = policy
        self._health = ModelHealth(chain, rate_limit, admin_ids, random)
        self._clock = clock
        self._random = random

    async def record(
        self, session: AsyncSession, group: Sequence[FinishedRequest], states: dict[str, ModelState] | None = None
    ) -> Recorded:
        """`states`: if read in this transaction."""
        if not group:
            return Recorded()
        now = self._clock()
        states, pause_changed = await self._health.learn(session, group, states, now)
        kinds = [finished.call.outcome.kind for finished in group]
        recorded = Recorded(
            notices=pause_changed,
            answered=sum(kind in {Kind.TAGGED, Kind.MALFORMED, Kind.REFUSED} for kind in kinds),
            timed_out=kinds.count(Kind.TIMEOUT),
            refused_access=any(kind in {Kind.ACCOUNT, Kind.FORBIDDEN} for kind in kinds),
            states=states,
        )
        group, own = await vocabulary.own_outcomes(session, group)
        await self._settle(session, await self._decide(session, group, states, now), recorded, own, now)
        return recorded

    async def give_up(self, session: AsyncSession, post: ClaimedPost, kind: str, error: str, now: datetime) -> None:
        """A claimed post fails without another request: 'refused' by all models left, or 'exhausted'."""
        values = {**failed_values(post, kind, error), "last_tagging_attempt": now, "tagging_attempts": post.attempts}
        if (await leases.settle(session, [(post, values)])).wrote(post):
            log.warning("post_failed", post_id=post.id, kind=kind, error=error)
            await self._notify(session, post, now)
            await outbox.outcome_ready(session, [post.id], now)

    async def _decide(
        self, session: AsyncSession, group: Sequence[FinishedRequest], states: dict[str, ModelState], now: datetime
    ) -> list[PostOutcome]:
        upstream = await self._upstream(session, states, group, now)
        suspects = await self._upstream_of_suspects(session, group, upstream, now)
        return [result for finished in group for result in self._outcomes(finished, upstream, suspects, now)]

    async def _upstream(
        self, session: AsyncSession, states: dict[str, ModelState], group: Sequence[FinishedRequest], now: datetime
    ) -> Upstream:
        served = any(finished.call.outcome.kind is Kind.TAGGED for finished in group)
        gone = {model for model, state in states.items() if state.reason is Aside.GONE and state.is_aside(now)}
        return Upstream(
            models=[model for model in self._chain if model not in gone],
            is_down=pause_reason(self._chain, states, now) is not None,
            last_success_at=now if served else await attempt_log.last_success_at(session),
        )

    async def _upstream_of_suspects(
        self, session: AsyncSession, group: Sequence[FinishedRequest], upstream: Upstream, now: datetime
    ) -> Upstream:
        """The upstream as a suspect's fault shows it: do other posts fail, too?"""
        down = [
            post
            for finished in group
            for post, outcome in zip(finished.posts, finished.call.outcomes, strict=True)
            if outcome.kind in DOWN_KINDS
        ]
        if not any(post.suspect for post in down) or not is_lately(upstream.last_success_at, now):
            return upstream
        others = not all(post.suspect for post in down) or await attempt_log.others_failed(
            session, [kind.value for kind in DOWN_KINDS], upstream.last_success_at
        )
        return replace(upstream, only_suspects_fail=not others)

    def _outcomes(
        self, finished: FinishedRequest, upstream: Upstream, suspects: Upstream, now: datetime
    ) -> Iterator[PostOutcome]:
        call, request_id = finished.call, token_hex(16)
        began = call.at - timedelta(seconds=call.seconds)
        # The same delay for all of them, or they could not be asked for together again.
        seed = self._random.getrandbits(32)
        for index, (post, outcome) in enumerate(zip(finished.posts, call.outcomes, strict=True)):
            decision = decide(
                post.attempts,
                AttemptTrail.from_json(post.trail),
                _culprit(call),
                outcome,
                suspects if post.suspect and outcome.kind in DOWN_KINDS else upstream,
                self._policy,
                began,
                now,
                Random(seed),
                batch_size=finished.batch_size,
                any_tagged=finished.any_tagged,
            )
            yield PostOutcome(post, call, outcome, decision, request_id, with_usage=index == 0)

    async def _settle(
        self, session: AsyncSession, results: Sequence[PostOutcome], recorded: Recorded, own: OwnTags, now: datetime
    ) -> None:
        settled = await leases.settle(session, [(result.post, post_values(result, now)) for result in results])
        await attempt_log.log_attempts(
            session, [attempt_row(result) for result in results if result.post.id in settled.alive]
        )
        await vocabulary.note(session, own, [post_id for post_id, _ in settled.written])
        told = []
        for result in results:
            if settled.wrote(result.post):
                await self._count(session, result, recorded, now)
                is_over = not isinstance(result.decision, AskAgain)
                told += [result.post.id] if is_over and result.post.id in settled.awaited else []
            else:
                log.info("lease_lost", post_id=result.post.id)
        if told:
            await outbox.outcome_ready(session, told, now)
        recorded.notices |= bool(told or settled.hashtagged)

    async def _count(self, session: AsyncSession, result: PostOutcome, recorded: Recorded, now: datetime) -> None:
        log_outcome(result, self._chain)
        match result.decision:
            case Tagged():
                recorded.tagged += 1
            case AskAgain():
                recorded.retried += 1
            case RetryAt(counts=counts):
                recorded.retried += 1
                recorded.waiting |= not counts
            case GiveUp():
                recorded.failed += 1
                recorded.notices = True
                await self._notify(session, result.post, now)

    async def _notify(self, session: AsyncSession, post: ClaimedPost, now: datetime) -> None:
        owner = await people_rows.telegram_id_of(session, post.user_id)
        # A failed post that fails again in its nightly retry is no news.
        if owner is not None and post.work_class != Priority.NIGHTLY:
            await outbox.post_failed(session, post.id, owner, now)


def _culprit(call: Call) -> str:
    """The model that the outcome is put down to: the one that answered, if it was sent, else the one asked."""
    return call.answered if call.answered in call.request.models else call.request.model
