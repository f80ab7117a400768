"""What finished requests say of models and limits, stored for all processes."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside, ModelState, observe
from services.availability.model_choice import pause_reason
from services.availability.model_names import is_free
from services.availability.model_states import load_states, save_states
from services.availability.rate_limit import FREE_SCOPE, RateLimit
from services.clock import utc_day
from services.llm.outcomes import Kind, Limit
from services.notifications.provider_alerts import LASTS, PauseAlerts
from services.tagging.tagging_request import FinishedRequest
from storage.queue import attempt_log, limits, provider_waits
from storage.queue import model_states as model_rows

log = structlog.get_logger(__name__)

#: A `suspect` mark expires this long after the last success.
SUSPECTED_FOR = timedelta(minutes=10)
#: Pauses in which posts come to wait for the provider; after a limit they are simply due.
_OUTAGES = frozenset({Aside.ACCOUNT, Aside.FORBIDDEN, Aside.DOWN, Aside.GONE})


class ModelHealth:
    def __init__(self, chain: Sequence[str], rate_limit: RateLimit, admin_ids: Collection[int], random: Random) -> None:
        self._chain = tuple(chain)
        self._rate_limit = rate_limit
        self._alerts = PauseAlerts(admin_ids)
        self._random = random
        #: Model → its last answer to this process.
        self._served_at: dict[str, datetime] = {}

    async def learn(
        self,
        session: AsyncSession,
        group: Sequence[FinishedRequest],
        states: dict[str, ModelState] | None,
        now: datetime,
    ) -> tuple[dict[str, ModelState], bool]:
        """Store what a group shows. Returns the models' states, and whether a pause has begun or ended.

        `states`: if read in this transaction.
        """
        states = await load_states(session) if states is None else states
        self._served_at |= {each.call.request.model: each.call.at for each in group if each.any_tagged}
        known = await self._without_old_suspicions(session, group, now)
        before = pause_reason(self._chain, states, now)
        if self._observe(states, known, now):
            # Only now, since most groups change nothing: what others have learnt meanwhile must not be lost.
            await model_rows.lock(session)
            states = await load_states(session)
            before = pause_reason(self._chain, states, now)
            changed = self._observe(states, known, now)
            _log_changes(states, changed)
            states.update(changed)
            await save_states(session, list(changed.values()))
        await self._learn_limits(session, group, now)
        after = pause_reason(self._chain, states, now)
        if before is not after:
            await self._pause_changed(session, group, before, after, now)
        return states, before is not after

    async def _without_old_suspicions(
        self, session: AsyncSession, group: Sequence[FinishedRequest], now: datetime
    ) -> Sequence[FinishedRequest]:
        """When no post has been served for long, a suspect's fault is as good a sign of an outage as any."""
        if not any(post.suspect for finished in group for post in finished.posts):
            return group
        if is_lately(await attempt_log.last_success_at(session), now):
            return group
        return [_unsuspected(finished) for finished in group]

    def _observe(
        self, states: dict[str, ModelState], group: Sequence[FinishedRequest], now: datetime
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
                suspect=all(post.suspect for post in finished.posts) or self._is_only_slow(finished),
                is_probe=finished.request.is_probe,
            )
            known.update(news)
            changed.update(news)
        return changed

    def _is_only_slow(self, finished: FinishedRequest) -> bool:
        """Whether the model answered another request while this one timed out: it has too many, and is not down."""
        call = finished.call
        served_at = self._served_at.get(call.request.model)
        sent_at = call.at - timedelta(seconds=call.seconds)
        return call.outcome.kind is Kind.TIMEOUT and served_at is not None and served_at > sent_at

    async def _learn_limits(self, session: AsyncSession, group: Sequence[FinishedRequest], now: datetime) -> None:
        for finished in group:
            limit = finished.call.outcome.limit
            if limit is not None:
                model = finished.call.request.model
                scope = FREE_SCOPE if limit.daily and is_free(model) else self._rate_limit.scope(model)
                await limits.ensure(session, [scope])
                await limits.learn(session, scope, **_learnt(limit, now))

    async def _pause_changed(
        self,
        session: AsyncSession,
        group: Sequence[FinishedRequest],
        before: Aside | None,
        after: Aside | None,
        now: datetime,
    ) -> None:
        faults = [finished.call.outcome for finished in group if finished.call.outcome.kind is not Kind.TAGGED]
        detail = faults[0].reason if faults else ""
        may_be_slow = False
        if {fault.kind for fault in faults} == {Kind.TIMEOUT}:
            last = await attempt_log.last_success_at(session)
            may_be_slow = len(faults) < len(group) or (last is not None and now - last <= LASTS)
        await self._alerts.changed(session, before, after, detail, now, may_be_slow=may_be_slow)
        if after is None and before in _OUTAGES:
            await provider_waits.provider_is_back(session)


def is_lately(success_at: datetime | None, now: datetime) -> bool:
    """Whether the last success is recent enough to say that the provider serves others."""
    return success_at is not None and now - success_at <= SUSPECTED_FOR


def _unsuspected(finished: FinishedRequest) -> FinishedRequest:
    posts = tuple(post._replace(suspect=False) for post in finished.posts)
    return replace(finished, request=replace(finished.request, posts=posts))


def _log_changes(known: dict[str, ModelState], changed: dict[str, ModelState]) -> None:
    for model, state in changed.items():
        old = known.get(model)
        if state.reason is not None and (old is None or old.until != state.until):
            log.warning(
                "model_set_aside",
                model=model,
                reason=state.reason.value,
                until=state.until.isoformat(timespec="seconds") if state.until else None,
                detail=state.detail,
            )


def _learnt(limit: Limit, now: datetime) -> dict[str, Any]:
    if limit.daily:
        return {"day": utc_day(now), "day_used": limit.requests, "day_limit": limit.requests, "day_limit_stated": True}
    return {"per_minute": limit.requests, "learnt_at": now}
