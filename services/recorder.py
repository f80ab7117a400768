"""Writes what finished requests mean: posts, tags, attempts, models' states, and what people are to be told.

All of a group in the caller's one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.alerts import PauseAlerts
from services.budget import FREE_LANE, Pace
from services.clock import utc_day
from services.decisions import AskAgain, Decision, GiveUp, Policy, RetryAt, Tagged, Trail, Upstream, decide
from services.outcomes import DOWN_KINDS, Kind, Limit, Outcome
from services.provider import Call
from services.states import load_states, save_states
from services.upstream import Aside, ModelState, fell_back, is_free, observe, pause_reason
from storage import budget, outbox, queue
from storage import people as people_rows
from storage import upstream as upstream_rows
from storage.queue import ClaimedPost, Priority

log = structlog.get_logger(__name__)

#: That a post failed where others were served says nothing any more when nobody has been served for so long.
SUSPECTED_FOR = timedelta(minutes=10)
#: Pauses in which posts come to wait for the provider; after a limit they are simply due.
_OUTAGES = frozenset({Aside.ACCOUNT, Aside.FORBIDDEN, Aside.DOWN, Aside.GONE})


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that has ended, and the posts that went in it, in its order."""

    posts: tuple[ClaimedPost, ...]
    call: Call
    is_probe: bool = False


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
    told: list[int] = field(default_factory=list)


class Recorder:
    """Turns groups of finished requests into rows; the decisions are `services.decisions`'."""

    def __init__(
        self,
        chain: Sequence[str],
        policy: Policy,
        pace: Pace,
        admin_ids: frozenset[int],
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
        states, before = await self._see(session, group, now)
        upstream = await self._upstream(session, states, group, now)
        recorded = Recorded()
        for finished in group:
            await self._record_one(session, finished, upstream, recorded, now)
        if recorded.told:
            await outbox.outcome_ready(session, recorded.told, now)
        after = pause_reason(self._chain, states, now)
        if before is not after:
            await self._pause_changed(session, group, before, after, now)
        recorded.notices = bool(recorded.told) or before is not after
        kinds = [finished.call.outcomes[0].kind for finished in group]
        recorded.answered = sum(kind in {Kind.TAGGED, Kind.MALFORMED, Kind.REFUSED} for kind in kinds)
        recorded.refused_access = any(kind in {Kind.ACCOUNT, Kind.FORBIDDEN} for kind in kinds)
        return recorded

    async def _see(
        self, session: AsyncSession, group: Sequence[Finished], now: datetime
    ) -> tuple[dict[str, ModelState], Aside | None]:
        """Learn of the models and limits; the states as they are now, and why tagging was paused before."""
        states = await load_states(session)
        group = await self._without_old_suspicions(session, group, now)
        if self._observe(states, group, now):
            # Only now, since most groups change nothing: what others have learnt meanwhile must not be lost.
            await upstream_rows.lock(session)
            states = await load_states(session)
        before = pause_reason(self._chain, states, now)
        changed = self._observe(states, group, now)
        self._log_changes(states, changed)
        states.update(changed)
        await save_states(session, list(changed.values()))
        await self._learn_limits(session, group, now)
        return states, before

    async def _without_old_suspicions(
        self, session: AsyncSession, group: Sequence[Finished], now: datetime
    ) -> Sequence[Finished]:
        """When nobody has been served for long, a suspect's fault is as good a sign of an outage as any."""
        if not any(post.suspect for finished in group for post in finished.posts):
            return group
        if _is_lately(await queue.last_success_at(session), now):
            return group
        return [
            replace(finished, posts=tuple(replace(post, suspect=False) for post in finished.posts))
            for finished in group
        ]

    async def _learn_limits(self, session: AsyncSession, group: Sequence[Finished], now: datetime) -> None:
        for finished in group:
            limit = finished.call.outcomes[0].limit
            if limit is not None:
                model = finished.call.request.model
                lane = FREE_LANE if limit.daily and is_free(model) else self._pace.lane(model)
                await budget.ensure(session, [lane])
                await budget.learn(session, lane, **_learnt(limit, now))

    async def _pause_changed(
        self, session: AsyncSession, group: Sequence[Finished], before: Aside | None, after: Aside | None, now: datetime
    ) -> None:
        detail = next((f.call.outcomes[0].reason for f in group if f.call.outcomes[0].kind is not Kind.TAGGED), "")
        await self._alerts.changed(session, before, after, detail, now)
        if after is None and before in _OUTAGES:
            await queue.upstream_is_back(session)

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
                call.outcomes[0],
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

    async def _upstream(
        self, session: AsyncSession, states: dict[str, ModelState], group: Sequence[Finished], now: datetime
    ) -> Upstream:
        served = any(outcome.kind is Kind.TAGGED for finished in group for outcome in finished.call.outcomes)
        gone = {model for model, state in states.items() if state.reason is Aside.GONE and state.is_aside(now)}
        return Upstream(
            models=[model for model in self._chain if model not in gone],
            is_down=pause_reason(self._chain, states, now) is not None,
            last_success_at=now if served else await queue.last_success_at(session),
        )

    async def _record_one(
        self, session: AsyncSession, finished: Finished, upstream: Upstream, recorded: Recorded, now: datetime
    ) -> None:
        call = finished.call
        request_id = uuid4().hex
        rows = []
        for index, (post, outcome) in enumerate(zip(finished.posts, call.outcomes, strict=True)):
            trail = Trail.from_json(post.trail)
            model = _culprit(call)
            began = call.at - timedelta(seconds=call.seconds)
            seen = await self._seen_for(session, post, outcome, upstream, now)
            decision = decide(post.attempts, trail, model, outcome, seen, self._policy, began, now, self._random)
            if await queue.settle(session, post, _values(post, decision, outcome, now)):
                await self._count(session, post, call, outcome, decision, recorded, now)
            else:
                recorded.lost += 1
                log.info("lease_lost", post_id=post.id)
            rows.append(_attempt(post, call, outcome, decision, request_id, with_usage=index == 0))
        await queue.log_attempts(session, rows)

    async def _seen_for(
        self, session: AsyncSession, post: ClaimedPost, outcome: Outcome, upstream: Upstream, now: datetime
    ) -> Upstream:
        """The upstream as a suspect's fault shows it: is anybody else failing, too?"""
        if not post.suspect or outcome.kind not in DOWN_KINDS or not _is_lately(upstream.last_success_at, now):
            return upstream
        others = await queue.others_failed(session, [kind.value for kind in DOWN_KINDS], upstream.last_success_at)
        return replace(upstream, only_suspects_fail=not others)

    async def _count(
        self,
        session: AsyncSession,
        post: ClaimedPost,
        call: Call,
        outcome: Outcome,
        decision: Decision,
        recorded: Recorded,
        now: datetime,
    ) -> None:
        _log_decision(self._chain, post, call, outcome, decision)
        match decision:
            case Tagged():
                recorded.tagged += 1
                recorded.told.append(post.id)
            case AskAgain():
                recorded.retried += 1
            case RetryAt():
                recorded.retried += 1
                recorded.told.append(post.id)
                recorded.waiting |= not decision.counts
            case GiveUp():
                recorded.failed += 1
                recorded.told.append(post.id)
                await self._notify(session, post, now)

    async def give_up(self, session: AsyncSession, post: ClaimedPost, kind: str, error: str, now: datetime) -> None:
        """A claimed post fails without another request: 'refused' by all that are left, or 'exhausted'."""
        values = {**_over(now), **_failed(post, kind, error), "tagging_attempts": post.attempts}
        if await queue.settle(session, post, values):
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


def _culprit(call: Call) -> str:
    """The model that the outcome is put down to: who answered, if it is one of those sent, else the one asked."""
    return call.answered if call.answered in call.request.models else call.request.model


def _values(post: ClaimedPost, decision: Decision, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """The columns that a decision sets."""
    faulted = outcome.kind in DOWN_KINDS or None
    if isinstance(decision, AskAgain):
        return {
            "tagging_attempts": post.attempts,
            "next_attempt_at": decision.at,
            "attempt_trail": decision.trail.to_json(),
            "after_fault": faulted,
            "waits_for_upstream": faulted,
        }
    if isinstance(decision, RetryAt):
        return {
            "tagging_status": "retrying",
            "tagging_attempts": post.attempts + decision.counts,
            "last_tagging_attempt": now,
            "tagging_error": decision.error,
            "next_attempt_at": decision.at,
            "attempt_trail": decision.trail.to_json(),
            "work_class": max(post.work_class, Priority.RETRY.value),
            "waits_for_upstream": None if decision.counts else True,
            "after_fault": faulted,
            "suspect": post.suspect or decision.suspect or None,
        }
    over = {**_over(now), "tagging_attempts": post.attempts + 1}
    if isinstance(decision, GiveUp):
        return {**over, **_failed(post, decision.kind, decision.error)}
    return {
        **over,
        "tagging_status": "success",
        "tagging_error": None,
        "failure_kind": None,
        "nightly_retries": None,
        "tags": list(decision.tags),
    }


def _over(now: datetime) -> dict[str, Any]:
    return {
        "last_tagging_attempt": now,
        "next_attempt_at": None,
        "attempt_trail": None,
        "requested_at": None,
        "work_class": None,
        "waits_for_upstream": None,
        "after_fault": None,
        "suspect": None,
    }


def _failed(post: ClaimedPost, kind: str, error: str) -> dict[str, Any]:
    # Tags that the post has already stand: a failed wish for new ones loses nothing.
    status = "success" if post.tags else "failed"
    return {"tagging_status": status, "tagging_error": error, "failure_kind": kind}


def _learnt(limit: Limit, now: datetime) -> dict[str, Any]:
    if limit.daily:
        return {"day": utc_day(now), "day_used": limit.requests, "day_limit": limit.requests}
    return {"per_minute": limit.requests, "learnt_at": now}


def _ended(decision: Decision) -> str | None:
    """How the attempt ended for `metka_attempts.ended`."""
    match decision:
        case Tagged():
            return "tagged"
        case GiveUp():
            return "failed"
        case RetryAt() if decision.counts:
            return "retrying"
        case _:
            return None


def _attempt(
    post: ClaimedPost, call: Call, outcome: Outcome, decision: Decision, request_id: str, *, with_usage: bool
) -> dict[str, Any]:
    usage = asdict(call.usage) if with_usage else {}
    return {
        "post_id": post.id,
        "request_id": request_id,
        "at": call.at,
        "model_asked": call.request.model,
        "model_answered": call.answered,
        "outcome": outcome.kind.value,
        "http_status": call.status,
        "seconds": round(call.seconds, 3),
        "error": outcome.reason or None,
        "ended": _ended(decision),
        "answer": outcome.excerpt.replace("\x00", "") if outcome.excerpt else None,
        **usage,
    }


def _log_decision(chain: Sequence[str], post: ClaimedPost, call: Call, outcome: Outcome, decision: Decision) -> None:
    fields = {"post_id": post.id, "model": call.request.model, "outcome": outcome.kind.value, "http": call.status}
    match decision:
        case Tagged() if fell_back(call.request.models, call.answered) or call.request.model != chain[0]:
            log.info("fallback", answered=call.answered, **fields)
        case Tagged():
            log.debug("tagged", seconds=round(call.seconds, 3), **fields)
        case AskAgain():
            log.info("retry", at=decision.at.isoformat() if decision.at else "now", error=outcome.reason, **fields)
        case RetryAt():
            log.info(
                "attempt_failed",
                at=decision.at.isoformat(),
                counts=decision.counts,
                error=outcome.reason,
                **fields,
            )
        case GiveUp():
            log.warning("post_failed", kind=decision.kind, error=outcome.reason, **fields)
