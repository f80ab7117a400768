"""Writes what finished requests mean: posts, tags, attempts, models' states, and what people are to be told.

All of a group in the caller's one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from secrets import token_hex
from typing import Any, NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.budget import FREE_LANE, Pace
from services.availability.circuit_breaker import Aside, ModelState, is_free, observe, pause_reason
from services.availability.model_states import load_states, save_states
from services.clock import utc_day
from services.llm.client import Call
from services.llm.response_classifier import DOWN_KINDS, Kind, Limit, Usage
from services.notifications.tagging_alerts import PauseAlerts
from services.tagging.retry_policy import AskAgain, Company, GiveUp, Policy, RetryAt, Tagged, Trail, Upstream, decide
from services.tagging.row_values import Verdict, attempt_row, failed_values, log_verdict, post_values
from storage import outbox
from storage.accounts import people as people_rows
from storage.queue import attempt_log, leases, limits, provider_waits
from storage.queue import model_states as upstream_rows
from storage.queue.claim import ClaimedPost, Priority

log = structlog.get_logger(__name__)

#: That a post failed where others were served says nothing any more when nobody has been served for so long.
SUSPECTED_FOR = timedelta(minutes=10)
#: Pauses in which posts come to wait for the provider; after a limit they are simply due.
_OUTAGES = frozenset({Aside.ACCOUNT, Aside.FORBIDDEN, Aside.DOWN, Aside.GONE})


class Finished(NamedTuple):
    """A request that has ended, and the posts that went in it, in its order."""

    posts: tuple[ClaimedPost, ...]
    call: Call
    is_probe: bool = False
    #: The posts' text keys, where they are known.
    keys: tuple[int | None, ...] = ()
    #: Of a part of a request: what the whole of it was.
    whole: Company | None = None

    @property
    def company(self) -> Company:
        """The posts that went in the request."""
        return self.whole or Company(len(self.posts), self.call.outcome.kind is Kind.TAGGED)

    def singles(self) -> list[Finished]:
        """A part for each post; the first one tells what the request cost."""
        calls = [self.call._replace(outcomes=(outcome,)) for outcome in self.call.outcomes]
        calls[1:] = [call._replace(usage=Usage()) for call in calls[1:]]
        pairs = zip(self.posts, calls, strict=True)
        return [Finished((post,), call, self.is_probe, whole=self.company) for post, call in pairs]


@dataclass(slots=True)
class Recorded:
    """What a group came to: counts for the log, and whether anybody is to be told."""

    tagged: int = 0
    failed: int = 0
    retried: int = 0
    lost: int = 0
    notices: bool = False
    #: An attempt is in doubt: it waits for others to be served.
    waiting: bool = False
    #: Requests that got an answer of a model's, usable or not.
    answered: int = 0
    #: The provider refused the account, or access to a model.
    refused_access: bool = False
    #: Whom to ask is to be decided anew.
    models_changed: bool = False
    #: The models' states as they are after the group.
    states: dict[str, ModelState] | None = None


class Recorder:
    """Turns groups of finished requests into rows; the decisions are `services.tagging.retry_policy`'."""

    def __init__(
        self,
        chain: Sequence[str],
        policy: Policy,
        pace: Pace,
        admin_ids: Collection[int],
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._chain = tuple(chain)
        self._policy = policy
        self._pace = pace
        self._alerts = PauseAlerts(admin_ids)
        self._clock = clock
        self._random = random

    async def record(self, session: AsyncSession, group: Sequence[Finished]) -> Recorded:
        """Write a group: each post's outcome, tags and attempts, in the caller's transaction."""
        now = self._clock()
        states, before, changed = await self._see(session, group, now)
        recorded = Recorded(states=states, models_changed=changed)
        await self._settle(session, await self._verdicts(session, group, states, now), recorded, now)
        after = pause_reason(self._chain, states, now)
        if before is not after:
            await self._pause_changed(session, group, before, after, now)
            recorded.notices = True
        kinds = [finished.call.outcome.kind for finished in group]
        recorded.answered = sum(kind in {Kind.TAGGED, Kind.MALFORMED, Kind.REFUSED} for kind in kinds)
        recorded.refused_access = any(kind in {Kind.ACCOUNT, Kind.FORBIDDEN} for kind in kinds)
        return recorded

    async def _see(
        self, session: AsyncSession, group: Sequence[Finished], now: datetime
    ) -> tuple[dict[str, ModelState], Aside | None, bool]:
        """Learn of the models and limits.

        Returns the states as they are now, why tagging was paused before, and whether any state has changed.
        """
        states = await load_states(session)
        group = await self._without_old_suspicions(session, group, now)
        before = pause_reason(self._chain, states, now)
        is_news = bool(self._observe(states, group, now))
        if is_news:
            # Only now, since most groups change nothing: what others have learnt meanwhile must not be lost.
            await upstream_rows.lock(session)
            states = await load_states(session)
            before = pause_reason(self._chain, states, now)
            changed = self._observe(states, group, now)
            self._log_changes(states, changed)
            states.update(changed)
            await save_states(session, list(changed.values()))
        await self._learn_limits(session, group, now)
        return states, before, is_news

    async def _without_old_suspicions(
        self, session: AsyncSession, group: Sequence[Finished], now: datetime
    ) -> Sequence[Finished]:
        """When nobody has been served for long, a suspect's fault is as good a sign of an outage as any."""
        if not any(post.suspect for finished in group for post in finished.posts):
            return group
        if _is_lately(await attempt_log.last_success_at(session), now):
            return group
        return [
            finished._replace(posts=tuple(post._replace(suspect=False) for post in finished.posts))
            for finished in group
        ]

    async def _learn_limits(self, session: AsyncSession, group: Sequence[Finished], now: datetime) -> None:
        for finished in group:
            limit = finished.call.outcome.limit
            if limit is not None:
                model = finished.call.request.model
                lane = FREE_LANE if limit.daily and is_free(model) else self._pace.lane(model)
                await limits.ensure(session, [lane])
                await limits.learn(session, lane, **_learnt(limit, now))

    async def _pause_changed(
        self, session: AsyncSession, group: Sequence[Finished], before: Aside | None, after: Aside | None, now: datetime
    ) -> None:
        outcomes = (finished.call.outcome for finished in group)
        detail = next((outcome.reason for outcome in outcomes if outcome.kind is not Kind.TAGGED), "")
        await self._alerts.changed(session, before, after, detail, now)
        if after is None and before in _OUTAGES:
            await provider_waits.provider_is_back(session)

    def _observe(
        self, states: dict[str, ModelState], group: Sequence[Finished], now: datetime
    ) -> dict[str, ModelState]:
        known, changed = dict(states), dict[str, ModelState]()
        for finished in group:
            call = finished.call
            news = observe(
                known,
                self._chain,
                call.request.models,
                call.answered,
                call.outcome,
                now,
                self._random,
                suspect=all(post.suspect for post in finished.posts),
                is_probe=finished.is_probe,
            )
            known.update(news)
            changed.update(news)
        return changed

    def _log_changes(self, known: dict[str, ModelState], news: dict[str, ModelState]) -> None:
        for model, state in news.items():
            old = known.get(model)
            if state.reason is not None and (old is None or old.until != state.until):
                log.warning(
                    "model_set_aside",
                    model=model,
                    reason=state.reason.value,
                    until=state.until.isoformat(timespec="seconds") if state.until else None,
                    detail=state.detail,
                )

    async def _verdicts(
        self, session: AsyncSession, group: Sequence[Finished], states: dict[str, ModelState], now: datetime
    ) -> list[Verdict]:
        upstream = await self._upstream(session, states, group, now)
        suspects = await self._upstream_of_suspects(session, group, upstream, now)
        return [verdict for finished in group for verdict in self._judge(finished, upstream, suspects, now)]

    async def _upstream(
        self, session: AsyncSession, states: dict[str, ModelState], group: Sequence[Finished], now: datetime
    ) -> Upstream:
        served = any(finished.call.outcome.kind is Kind.TAGGED for finished in group)
        gone = {model for model, state in states.items() if state.reason is Aside.GONE and state.is_aside(now)}
        return Upstream(
            models=[model for model in self._chain if model not in gone],
            is_down=pause_reason(self._chain, states, now) is not None,
            last_success_at=now if served else await attempt_log.last_success_at(session),
        )

    async def _upstream_of_suspects(
        self, session: AsyncSession, group: Sequence[Finished], upstream: Upstream, now: datetime
    ) -> Upstream:
        """The upstream as a suspect's fault shows it: is anybody else failing, too?"""
        down = [
            post
            for finished in group
            for post, outcome in zip(finished.posts, finished.call.outcomes, strict=True)
            if outcome.kind in DOWN_KINDS
        ]
        if not any(post.suspect for post in down) or not _is_lately(upstream.last_success_at, now):
            return upstream
        others = not all(post.suspect for post in down) or await attempt_log.others_failed(
            session, [kind.value for kind in DOWN_KINDS], upstream.last_success_at
        )
        return replace(upstream, only_suspects_fail=not others)

    def _judge(self, finished: Finished, upstream: Upstream, suspects: Upstream, now: datetime) -> Iterator[Verdict]:
        call, request_id = finished.call, token_hex(16)
        began = call.at - timedelta(seconds=call.seconds)
        # The same delay for all of them, or they could not be asked for together again.
        seed = self._random.getrandbits(32)
        for index, (post, outcome) in enumerate(zip(finished.posts, call.outcomes, strict=True)):
            decision = decide(
                post.attempts,
                Trail.from_json(post.trail),
                _culprit(call),
                outcome,
                suspects if post.suspect and outcome.kind in DOWN_KINDS else upstream,
                self._policy,
                began,
                now,
                self._random if outcome.kind is Kind.TAGGED else Random(seed),
                finished.company,
            )
            key = finished.keys[index] if finished.keys else None
            yield Verdict(post, call, outcome, decision, request_id, with_usage=index == 0, text_key=key)

    async def _settle(
        self, session: AsyncSession, verdicts: Sequence[Verdict], recorded: Recorded, now: datetime
    ) -> None:
        settled = await leases.settle(session, [(verdict.post, post_values(verdict, now)) for verdict in verdicts])
        await attempt_log.log_attempts(session, [attempt_row(v) for v in verdicts if v.post.id in settled.alive])
        told = []
        for verdict in verdicts:
            if settled.wrote(verdict.post):
                await self._count(session, verdict, recorded, now)
                is_over = not isinstance(verdict.decision, AskAgain)
                told += [verdict.post.id] if is_over and verdict.post.id in settled.awaited else []
            else:
                recorded.lost += 1
                log.info("lease_lost", post_id=verdict.post.id)
        if told:
            await outbox.outcome_ready(session, told, now)
        recorded.notices |= bool(told or settled.hashtagged)

    async def _count(self, session: AsyncSession, verdict: Verdict, recorded: Recorded, now: datetime) -> None:
        log_verdict(verdict, self._chain)
        match verdict.decision:
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
                await self._notify(session, verdict.post, now)

    async def give_up(self, session: AsyncSession, post: ClaimedPost, kind: str, error: str, now: datetime) -> None:
        """A claimed post fails without another request: 'refused' by all that are left, or 'exhausted'."""
        values = {**failed_values(post, kind, error), "last_tagging_attempt": now, "tagging_attempts": post.attempts}
        if (await leases.settle(session, [(post, values)])).wrote(post):
            log.warning("post_failed", post_id=post.id, kind=kind, error=error)
            await self._notify(session, post, now)
            await outbox.outcome_ready(session, [post.id], now)

    async def _notify(self, session: AsyncSession, post: ClaimedPost, now: datetime) -> None:
        owner = await people_rows.telegram_id_of(session, post.user_id)
        # The nightly retry of a failed post is no news when it fails again.
        if owner is not None and post.work_class != Priority.NIGHTLY:
            await outbox.post_failed(session, post.id, owner, now)


def _is_lately(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment <= SUSPECTED_FOR


def _learnt(limit: Limit, now: datetime) -> dict[str, Any]:
    if limit.daily:
        return {"day": utc_day(now), "day_used": limit.requests, "day_limit": limit.requests}
    return {"per_minute": limit.requests, "learnt_at": now}


def _culprit(call: Call) -> str:
    """The model that the outcome is put down to: who answered, if it is one of those sent, else the one asked."""
    return call.answered if call.answered in call.request.models else call.request.model
