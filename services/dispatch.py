"""Which due posts go out now, and to which models: the part of a worker's turn between recording and asking.

All of it in the caller's one transaction: claims, the probe of a model, the slot of a pace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.budget import FREE_LANE, LaneState, Pace, RetryBudget
from services.clock import utc_day
from services.decisions import Policy, Trail, settled_attempts
from services.prompts import has_text
from services.recorder import Recorded, Recorder
from services.states import load_states
from services.upstream import (
    Aside,
    ModelState,
    admission,
    candidates,
    choose_model,
    free_again_at,
    is_free,
    models_to_send,
)
from storage import budget, outbox, queue
from storage import upstream as upstream_rows
from storage.models import BudgetRow
from storage.queue import ClaimedPost

#: Requests at once at a start: a key that is not accepted must not cost one request a place in flight.
FIRST_REQUESTS = 3
#: Slow answers are no reason to go slowly: after so many seconds with nothing but silence twice as many may go.
RAMP_SECONDS = 1.0
#: Slots further ahead are not told to posts: the clock may have been set, or the limit learnt anew.
LONGEST_PROMISE = timedelta(hours=1)
#: When a post that cannot go out now is looked at again, if nothing says when.
LOOK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Start:
    """A request to make: the post, the model asked first, and those that go along."""

    post: ClaimedPost
    models: tuple[str, ...]
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a turn starts; `claimed`: whether it took anything; `wait`: seconds until the next look, None: no reason."""

    starts: tuple[Start, ...] = ()
    claimed: bool = False
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class _View:
    """The shared state as this turn sees it."""

    states: dict[str, ModelState]
    lanes: dict[str, LaneState]
    now: datetime


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
        lease_seconds: float,
        probe_seconds: float,
        sends_models: Callable[[], bool],
    ) -> None:
        """Take what it decides by.

        Args:
            probe_seconds: how long a probe may take.
            sends_models: whether the server takes OpenRouter's `models`.
        """
        self._recorder = recorder
        self._chain = tuple(chain)
        self._policy = policy
        self._pace = pace
        self._concurrency = concurrency
        self._lease = lease_seconds
        self._probe = timedelta(seconds=probe_seconds)
        self._sends_models = sends_models
        self._retries = RetryBudget()
        # How many may be in flight while it is not sure that all are welcome: one more with each answer.
        self._ramp: int | None = FIRST_REQUESTS
        self._ramped_at = 0.0
        self._last_user = 0
        # Lane → the last slot that a waiting post was told.
        self._promised: dict[str, datetime] = {}

    async def plan(self, session: AsyncSession, now: datetime, *, in_flight: int, probe: bool) -> Plan:
        """Claim what may go out now. `probe`: one request even in a pause."""
        view = _View(await load_states(session), await self._lanes(session), now)
        room, wait = self._room(view, in_flight, probe=probe)
        if not room:
            return Plan(wait=wait)
        left = self._retries.left(time.monotonic())
        claimed = await queue.claim(
            session,
            limit=min(room, left) if left else room,
            now=now,
            lease_seconds=self._lease,
            token=uuid4().hex,
            after_user=self._last_user,
            retries=left > 0,
        )
        if not claimed:
            return Plan(wait=await self._until_due(session, now, retries=left > 0))
        starts = await self._assign(session, claimed, view, probe=probe)
        return Plan(tuple(starts), claimed=True)

    def started(self, start: Start) -> None:
        """The plan's transaction is committed, and the request leaves."""
        self._retries.started(time.monotonic(), is_retry=start.post.is_retry)
        self._last_user = start.post.user_id

    def recorded(self, recorded: Recorded) -> None:
        """Learn from a group: more at once with each answer, one at a time after a refusal of the account."""
        if recorded.refused_access:
            self._ramp = 1
        elif self._ramp is not None:
            self._ramp += recorded.answered

    async def give_back(self, session: AsyncSession, starts: Sequence[Start]) -> None:
        """These requests were broken off: their posts and probes are free at once."""
        await queue.release(session, [start.post for start in starts])
        for start in starts:
            if start.is_probe:
                await upstream_rows.end_probe(session, start.models[0])

    async def _lanes(self, session: AsyncSession) -> dict[str, LaneState]:
        wanted = list(dict.fromkeys([FREE_LANE, *(self._pace.lane(model) for model in self._chain)]))
        rows = await budget.load(session)
        if not rows.keys() >= set(wanted):
            await budget.ensure(session, wanted)
            rows = await budget.load(session)
        return {lane: lane_state(rows[lane]) for lane in wanted}

    def _room(self, view: _View, in_flight: int, *, probe: bool) -> tuple[int, float | None]:
        """How many posts to claim, and how long to wait if none."""
        admitted = admission(self._chain, view.states, view.now)
        free = self._concurrency - in_flight
        if admitted.capacity is not None:
            self._ramp = 1
            free = free if probe else min(free, admitted.capacity)
        elif (ramp := self._ramp_now(in_flight)) is not None:
            free = min(free, ramp - in_flight)
        if free <= 0:
            return 0, _seconds(admitted.until, view.now) if admitted.until else self._until_ramp()
        if wait := self._pace_wait(view):
            return 0, wait
        return (1 if probe or self._is_paced(view) else free), None

    def _ramp_now(self, in_flight: int) -> int | None:
        now = time.monotonic()
        if self._ramp is None or self._ramp >= self._concurrency:
            self._ramp = None
        elif not in_flight:
            self._ramped_at = now
        elif now - self._ramped_at >= RAMP_SECONDS:
            self._ramp, self._ramped_at = self._ramp * 2, now
        return self._ramp

    def _until_ramp(self) -> float | None:
        return None if self._ramp is None else max(0.05, self._ramped_at + RAMP_SECONDS - time.monotonic())

    def _pace_wait(self, view: _View) -> float:
        model = next(iter(candidates(self._chain, view.states, view.now)), self._chain[0])
        lane = self._pace.lane(model)
        return self._pace.wait(lane, view.lanes[lane], view.now)

    def _is_paced(self, view: _View) -> bool:
        # Any model of the chain may be the next: one request a turn keeps the pace of each.
        lanes = {self._pace.lane(model) for model in self._chain}
        return any(self._pace.interval(lane, view.lanes[lane], view.now) for lane in lanes)

    async def _until_due(self, session: AsyncSession, now: datetime, *, retries: bool) -> float | None:
        due = await queue.next_due_at(session, now, retries=retries)
        # Due, yet not claimed: another process held the rows for the moment.
        wait = 1.0 if due == now else _seconds(due, now)
        if retries:
            return wait
        until_retries = self._retries.wait(time.monotonic())
        return until_retries if wait is None else min(wait, until_retries)

    async def _assign(
        self, session: AsyncSession, claimed: Sequence[ClaimedPost], view: _View, *, probe: bool
    ) -> list[Start]:
        starts: list[Start] = []
        for each in claimed:
            post = await self._worth_asking(session, each, view.now)
            if post is not None and (start := await self._start(session, post, view, probe=probe)) is not None:
                starts.append(start)
        free = sum(is_free(start.models[0]) for start in starts)
        if free:
            await budget.count(session, FREE_LANE, utc_day(view.now), free)
        return starts

    async def _worth_asking(self, session: AsyncSession, post: ClaimedPost, now: datetime) -> ClaimedPost | None:
        """The post with its attempts settled; None when it is settled without a request."""
        values = _without_request(post)
        if values is not None:
            await queue.settle(session, post, values)
            await outbox.outcome_ready(session, [post.id], now)
            return None
        if post.doubted_since is None:
            return post
        attempts = settled_attempts(post.attempts, post.doubted_since, await queue.last_success_at(session))
        # An attempt beyond the limit that a /retry gave is in doubt, too: nothing is used up before it counts.
        counts = attempts > post.attempts
        is_used_up = counts and attempts >= self._policy.max_attempts
        # Settled once: a post that is only put off must not find the same doubt again.
        post = replace(post, attempts=attempts, doubted_since=None, waits=post.waits and not counts)
        if not is_used_up:
            return post
        await self._recorder.give_up(session, post, "exhausted", post.error or "the attempts are used up", now)
        return None

    async def _start(self, session: AsyncSession, post: ClaimedPost, view: _View, *, probe: bool) -> Start | None:
        models, is_probe = self._models_for(post, view, probe=probe)
        if not models:
            await self._nobody_to_ask(session, post, view)
            return None
        if is_probe and not await self._reserve_probe(session, models[0], view):
            await self._postpone(session, post, view.now + LOOK_AGAIN)
            return None
        if not await self._take_slot(session, models[0], view):
            if is_probe:
                await upstream_rows.end_probe(session, models[0])
            await self._postpone(session, post, self._promise_slot(models[0], view))
            return None
        return Start(post, models, is_probe)

    def _models_for(self, post: ClaimedPost, view: _View, *, probe: bool) -> tuple[tuple[str, ...], bool]:
        trail = Trail.from_json(post.trail)
        allowed = candidates(self._chain, view.states, view.now)
        if probe and not allowed:
            present = [m for m in self._chain if m not in view.states or view.states[m].reason is not Aside.GONE]
            return tuple((present or list(self._chain))[:1]), True
        model = choose_model(self._chain, allowed, trail.asked, trail.refused)
        if model is None:
            return (), False
        state = view.states.get(model)
        sent = models_to_send(model, self._chain, allowed, trail.refused) if self._sends_models() else (model,)
        return sent, state is not None and state.is_half_open(view.now)

    async def _nobody_to_ask(self, session: AsyncSession, post: ClaimedPost, view: _View) -> None:
        refused = Trail.from_json(post.trail).refused
        gone = {m for m, state in view.states.items() if state.reason is Aside.GONE and state.is_aside(view.now)}
        if refused and set(self._chain) - gone <= set(refused):
            # Nobody is left to wait for.
            error = "every model that can be asked refuses the text"
            await self._recorder.give_up(session, post, "refused", error, view.now)
            return
        at = free_again_at(self._chain, view.states, refused, view.now) or view.now + LOOK_AGAIN
        await self._postpone(session, post, at)

    async def _reserve_probe(self, session: AsyncSession, model: str, view: _View) -> bool:
        until = view.now + self._probe
        if not await upstream_rows.start_probe(session, model, view.now, until):
            return False
        view.states[model] = replace(view.states.get(model) or ModelState(model), probe_until=until)
        return True

    async def _take_slot(self, session: AsyncSession, model: str, view: _View) -> bool:
        lane = self._pace.lane(model)
        interval = self._pace.interval(lane, view.lanes[lane], view.now)
        return interval is None or await budget.take_slot(session, lane, view.now, interval)

    def _promise_slot(self, model: str, view: _View) -> datetime:
        """When the lane's next slot may be this post's: each waiting one gets a time of its own."""
        lane = self._pace.lane(model)
        interval = self._pace.interval(lane, view.lanes[lane], view.now) or timedelta(seconds=1)
        free = max(view.lanes[lane].next_at or view.now, view.now)
        slot = max(free, self._promised.get(lane, free) + interval)
        if slot - view.now > LONGEST_PROMISE:
            slot = free
        self._promised[lane] = slot
        return slot

    async def _postpone(self, session: AsyncSession, post: ClaimedPost, at: datetime) -> None:
        values = {"next_attempt_at": at, "tagging_attempts": post.attempts, "waits_for_upstream": post.waits or None}
        await queue.settle(session, post, values)


def lane_state(row: BudgetRow) -> LaneState:
    """A lane's row as a value."""
    return LaneState(row.next_at, row.per_minute, row.learnt_at, row.day, row.day_used, row.day_limit)


def _seconds(until: datetime | None, now: datetime) -> float | None:
    return None if until is None else max(0.05, (until - now).total_seconds())


def _without_request(post: ClaimedPost) -> dict[str, object] | None:
    """What a row becomes that needs no model: no text, or tags that nobody asked anew. Else None."""
    if not has_text(post.text):
        status = "success" if post.tags else "skipped"
    elif post.tags and post.requested_at is None:
        status = "success"
    else:
        return None
    return {"tagging_status": status, "next_attempt_at": None, "attempt_trail": None, "requested_at": None}
