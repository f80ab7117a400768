"""Which due posts go out now, and to which models: the part of a worker's turn between recording and asking.

All of it in the caller's one transaction: claims, the probe of a model, the slot of a pace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.budget import FREE_LANE, Pace, RetryBudget
from services.availability.circuit_breaker import (
    Aside,
    ModelState,
    admission,
    candidates,
    choose_model,
    is_free,
    models_to_send,
)
from services.availability.model_states import load_states
from services.availability.rate_limit import Lanes
from services.availability.slow_start import Ramp
from services.clock import utc_day
from services.tagging.batching import Candidate, batches, most_together
from services.tagging.plans import Held, Plan, Start, View
from services.tagging.prefilter import LOOK_AGAIN, Triage
from services.tagging.recorder import Recorded, Recorder
from services.tagging.retry_policy import Policy, Trail
from services.tags.reuse import Worth
from storage.queue import claim, leases, limits
from storage.queue import model_states as upstream_rows
from storage.queue.claim import ClaimedPost

#: Seconds at most until the next look when what is due cannot be claimed.
MOST_MISSED = 30.0
#: Of all requests that are planned ahead: a transaction of more would keep SQLite, and with it the chat, for too long.
MOST_POSTS_AHEAD = 300


@dataclass(frozen=True, slots=True)
class _Room:
    """How many requests may start, about how many posts each; or seconds until some may, if that is known."""

    requests: int
    batch_size: int = 1
    wait: float | None = None
    #: Only for what a person asked for.
    asked: bool = False


class Dispatcher:
    """Decides for one process; what concerns the account it shares with the others through the database."""

    def __init__(
        self,
        recorder: Recorder,
        chain: Sequence[str],
        policy: Policy,
        pace: Pace,
        *,
        concurrency: int,
        batch_size: int,
        lease_seconds: float,
        probe_seconds: float,
        sends_models: Callable[[], bool],
    ) -> None:
        """Take what it decides by.

        Args:
            batch_size: posts in one request, at most.
            probe_seconds: how long a probe may take.
            sends_models: whether the server takes OpenRouter's `models`.
        """
        self._triage = Triage(recorder, chain, policy)
        self._chain = tuple(chain)
        self._lanes = Lanes(pace, chain)
        self._batch_size = batch_size
        self._lease = lease_seconds
        self._probe = timedelta(seconds=probe_seconds)
        self._sends_models = sends_models
        self._retries = RetryBudget()
        self._ramp = Ramp(concurrency)
        self.concurrency = concurrency
        self._last_user = 0
        self._misses = 0

    async def plan(
        self,
        session: AsyncSession,
        now: datetime,
        held: Held,
        *,
        probe: bool,
        states: dict[str, ModelState] | None = None,
    ) -> Plan:
        """Claim what may go out now.

        Args:
            probe: one request even in a pause.
            states: the models', where they have been read in this transaction already.
        """
        known = await load_states(session) if states is None else states
        view = View(known, await self._lanes.load(session), now)
        room = self._room(view, held, probe=probe)
        if not room.requests:
            return Plan(wait=room.wait)
        left = self._retries.left(time.monotonic()) - sum(start.is_retry for start in held.ready)
        claimed = await claim.claim_posts(
            session,
            limit=room.requests * room.batch_size,
            now=now,
            lease_seconds=self._lease,
            token=uuid4().hex,
            after_user=self._last_user,
            retries=left > 0,
            asked=room.asked,
        )
        if not claimed:
            return Plan() if room.asked else Plan(wait=await self._until_due(session, now, retries=left > 0))
        self._misses = 0
        self._last_user = _last_in_turn(claimed, self._last_user)
        worth = await self._triage.worth_asking(session, claimed, held.starts, view)
        found = await self._candidates(session, worth, view, room.batch_size, probe=probe)
        starts = await self._starts(session, batches(found), view, room.requests, left)
        # With every place taken there is no reason to look before one is free.
        is_full = len(held.starts) + len(starts) >= self.concurrency
        return Plan(tuple(starts), claimed=True, wait=None if is_full else 0.0, notices=bool(view.told))

    def started(self, start: Start) -> None:
        """The plan's transaction is committed, and the request leaves."""
        self._retries.started(time.monotonic(), is_retry=start.is_retry)

    def recorded(self, recorded: Recorded) -> None:
        """Learn from a group: more at once with each answer, one at a time after a refusal of the account."""
        if recorded.refused_access:
            self._ramp.restart()
        else:
            self._ramp.answered(recorded.answered)

    async def give_back(
        self, session: AsyncSession, starts: Sequence[Start], now: datetime, *, have_left: bool = False
    ) -> None:
        """These requests are not made, or broken off: their posts and probes are free at once.

        Those that `have_left` stay in the day's count: the provider has counted them.
        """
        if not starts:
            return
        if not have_left:
            await self._count_free(session, starts, now, sign=-1)
        await leases.release(session, [post for start in starts for post in start.posts])
        for start in starts:
            if start.is_probe:
                await upstream_rows.end_probe(session, start.models[0])

    def _room(self, view: View, held: Held, *, probe: bool) -> _Room:
        in_flight = len(held.starts)
        admitted = admission(self._chain, view.states, view.now)
        if admitted.capacity is not None:
            self._ramp.restart()
            free = self.concurrency - in_flight
            free = free if probe else min(free, admitted.capacity)
        else:
            free = self._ramp.room(in_flight)
            # Also with every place taken: the turn that records answers is the one that claims what follows them.
            is_steady = not (probe or self._ramp.is_climbing or self._lanes.are_paced(view.lanes, view.now))
            free += min(held.ahead, MOST_POSTS_AHEAD // self._batch_size) if is_steady else 0
            if free <= 0 and is_steady and held.ready:
                # A person's wish does not wait behind what is ready.
                return _Room(self.concurrency, self._batch_size, asked=True)
        if free <= 0:
            return _Room(0, wait=_seconds(admitted.until, view.now) if admitted.until else self._ramp.wait())
        model = next(iter(candidates(self._chain, view.states, view.now)), self._chain[0])
        if wait := self._lanes.wait(model, view.lanes, view.now):
            return _Room(0, wait=wait)
        # What a probe finds out it finds out with one post.
        if probe or admitted.capacity is not None:
            return _Room(1)
        if self._lanes.are_paced(view.lanes, view.now):
            return _Room(1, self._batch_size)
        return _Room(free, self._batch_size)

    async def _until_due(self, session: AsyncSession, now: datetime, *, retries: bool) -> float | None:
        due = await claim.next_due_at(session, now, retries=retries)
        # Due, yet not claimed: another process held the rows for the moment, or their user is gone.
        self._misses = self._misses + 1 if due == now else 0
        wait = min(MOST_MISSED, 2.0 ** (self._misses - 1)) if due == now else _seconds(due, now)
        if retries:
            return wait
        until_retries = self._retries.wait(time.monotonic())
        return until_retries if wait is None else min(wait, until_retries)

    async def _candidates(
        self, session: AsyncSession, worth: Sequence[Worth], view: View, batch_size: int, *, probe: bool
    ) -> list[Candidate]:
        found: list[Candidate] = []
        # One post is a model's probe; the others go to the models that are up.
        probed: set[str] = set()
        # Nearly all posts have asked nobody yet: what holds for one holds for the next, but for a probe between them.
        known: dict[Hashable, tuple[tuple[str, ...], bool]] = {}
        for post, key in worth:
            trail = Trail.from_json(post.trail)
            question = trail.asked, trail.refused, len(probed)
            if question not in known:
                known[question] = self._models_for(trail, view, probed, probe=probe)
            models, is_probe = known[question]
            if models:
                probed.update(models[:1] if is_probe else ())
                most = 1 if is_probe else most_together(post, trail, batch_size)
                found.append(Candidate(post, models, most, is_probe, key))
            else:
                await self._triage.nobody_to_ask(session, post, view)
        return found

    async def _starts(
        self, session: AsyncSession, found: Sequence[Sequence[Candidate]], view: View, requests: int, retries: int
    ) -> list[Start]:
        """The requests that may be made; the posts of the others are free again."""
        starts: list[Start] = []
        surplus: list[ClaimedPost] = []
        for batch in found:
            posts, first = tuple(candidate.post for candidate in batch), batch[0]
            start = Start(posts, first.models, first.is_probe, tuple(candidate.key for candidate in batch))
            retries -= start.is_retry
            if len(starts) >= requests or (start.is_retry and retries < 0):
                surplus += posts
            elif await self._may_start(session, start, view):
                starts.append(start)
        await leases.release(session, surplus)
        await self._count_free(session, starts, view.now)
        return starts

    async def _count_free(self, session: AsyncSession, starts: Sequence[Start], now: datetime, sign: int = 1) -> None:
        """In the day's count, or out of it: requests to free models."""
        free = sum(is_free(start.models[0]) for start in starts)
        if free:
            await limits.count(session, FREE_LANE, utc_day(now), sign * free)

    async def _may_start(self, session: AsyncSession, start: Start, view: View) -> bool:
        """Reserve the probe and the slot that the request needs; without them its posts are put off."""
        model = start.models[0]
        if start.is_probe and not await self._reserve_probe(session, model, view):
            await self._triage.postpone(session, start.posts, view.now + LOOK_AGAIN)
            return False
        if not await self._lanes.take_slot(session, model, view.lanes, view.now):
            if start.is_probe:
                await upstream_rows.end_probe(session, model)
            await self._triage.postpone(session, start.posts, self._lanes.promise_slot(model, view.lanes, view.now))
            return False
        return True

    def _models_for(
        self, trail: Trail, view: View, probed: Collection[str], *, probe: bool
    ) -> tuple[tuple[str, ...], bool]:
        allowed = [model for model in candidates(self._chain, view.states, view.now) if model not in probed]
        if probe and not allowed:
            present = [m for m in self._chain if m not in view.states or view.states[m].reason is not Aside.GONE]
            return tuple((present or list(self._chain))[:1]), True
        model = choose_model(self._chain, allowed, trail.asked, trail.refused)
        if model is None:
            return (), False
        state = view.states.get(model)
        sent = models_to_send(model, self._chain, allowed, trail.refused) if self._sends_models() else (model,)
        return sent, state is not None and state.is_half_open(view.now)

    async def _reserve_probe(self, session: AsyncSession, model: str, view: View) -> bool:
        until = view.now + self._probe
        if not await upstream_rows.start_probe(session, model, view.now, until):
            return False
        view.states[model] = replace(view.states.get(model) or ModelState(model), probe_until=until)
        return True


def may_leave(planned: Iterable[Start], states: Mapping[str, ModelState], now: datetime) -> bool:
    """Whether no model of these requests has been set aside since they were planned, by whichever process."""
    return not states or all(_may_be_asked(start, states, now) for start in planned)


def _may_be_asked(start: Start, states: Mapping[str, ModelState], now: datetime) -> bool:
    known = [states[model] for model in start.models if model in states]
    needs_probe = any(state.is_half_open(now) for state in known if state.model == start.models[0])
    return not any(state.is_aside(now) for state in known) and (start.is_probe or not needs_probe)


def _last_in_turn(claimed: Sequence[ClaimedPost], after_user: int) -> int:
    """The user whose turn was the last: of the last order of work, those beyond `after_user` came first."""
    last_class = max(post.work_class for post in claimed)
    users = {post.user_id for post in claimed if post.work_class == last_class}
    return max(users, key=lambda user: (user <= after_user, user))


def _seconds(until: datetime | None, now: datetime) -> float | None:
    return None if until is None else max(0.05, (until - now).total_seconds())
