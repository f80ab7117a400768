"""claim → ask → decide → record, until nothing is due.

One loop owns the queue: whatever finished since the last turn is recorded and the free places are filled again
in one transaction, so that outcomes are written in groups while the other requests go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.decisions import Trail
from services.pacing import Pacer
from services.provider import Call, Provider, Request
from services.recorder import Finished, Recorded, Recorder, load_states
from services.upstream import (
    Aside,
    ModelState,
    admission,
    candidates,
    choose_model,
    free_again_at,
    models_to_send,
)
from storage import outbox, queue
from storage.database import Database, is_unavailable
from storage.queue import ClaimedPost

log = structlog.get_logger(__name__)

STOP_SECONDS = 15.0
LONGEST_DATABASE_PAUSE = 5.0
#: Longest sleep while nothing is due: the scheduler's tick usually comes first.
IDLE_SECONDS = 300.0


@dataclass(slots=True)
class Flight:
    """Posts that are in a request now."""

    posts: tuple[ClaimedPost, ...]
    model: str
    is_probe: bool
    task: asyncio.Task[Call]


class Worker:
    """Works off the queue. `run` is its loop, `wake` says that something may be due, `stop` ends it."""

    def __init__(
        self,
        database: Database,
        provider: Provider,
        recorder: Recorder,
        pacer: Pacer,
        chain: Sequence[str],
        *,
        concurrency: int,
        lease_seconds: float,
        clock: Callable[[], datetime],
        on_news: Callable[[], None],
    ) -> None:
        self._database = database
        self._provider = provider
        self._recorder = recorder
        self._pacer = pacer
        self._chain = tuple(chain)
        self._concurrency = concurrency
        self._lease = lease_seconds
        self._clock = clock
        self._on_news = on_news
        self._signal = asyncio.Event()
        self._stopping = False
        self._probe_asked = False
        self._flights: list[Flight] = []
        self._finished: list[Finished] = []
        self._renewed_at = 0.0
        self._last_user = 0
        self._maybe_waiting = True
        self._batch = Recorded()

    def wake(self) -> None:
        """Look for due posts now."""
        self._signal.set()

    def probe(self) -> None:
        """Send one request even in a pause; its success ends the pause."""
        self._probe_asked = True
        self._signal.set()

    def stop(self) -> None:
        """Take no more work; `run` returns when what is in flight has ended, 15 s at most."""
        self._stopping = True
        self._signal.set()

    async def run(self) -> None:
        """Work until `stop`."""
        pause = 0.5
        while not self._stopping:
            self._signal.clear()
            try:
                wait = await self._turn()
                pause = 0.5
            except Exception as error:
                if is_unavailable(error):
                    log.warning("database_unavailable", error=type(error).__name__, again_in=pause)
                else:
                    log.exception("worker_error")
                wait, pause = pause, min(LONGEST_DATABASE_PAUSE, pause * 2)
            await self._sleep(wait)
        await self._finish()

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._signal.wait()
        except TimeoutError:
            pass

    async def _turn(self) -> float:
        """Record, renew, claim, start. Returns seconds until the next turn if no signal comes before."""
        self._collect()
        now = self._clock()
        group, recorded, claimed = list(self._finished), Recorded(), list[ClaimedPost]()
        async with self._database.write() as session:
            if group:
                recorded = await self._recorder.record(session, group)
            await self._renew(session, now)
            states = await load_states(session)
            room, wait = self._room(states, now)
            if room:
                claimed = await self._claim(session, room, now)
            starts = await self._assign(session, claimed, states, now)
            if len(claimed) < room:
                wait = await self._idle_seconds(session, now, found=bool(claimed))
            if recorded.tagged and self._maybe_waiting:
                await queue.upstream_is_back(session)
        del self._finished[: len(group)]
        self._after(recorded, bool(claimed))
        for post, models, is_probe in starts:
            self._start(post, models, is_probe=is_probe)
        return 0.0 if claimed and not starts else min(wait, self._lease / 3 if self._flights else IDLE_SECONDS)

    def _collect(self) -> None:
        for flight in [flight for flight in self._flights if flight.task.done()]:
            self._flights.remove(flight)
            self._finished.append(Finished(flight.posts, flight.task.result()))

    def _after(self, recorded: Recorded, claimed: bool) -> None:
        self._maybe_waiting = recorded.waiting_for_upstream or (self._maybe_waiting and not recorded.tagged)
        self._batch.tagged += recorded.tagged
        self._batch.failed += recorded.failed
        self._batch.retried += recorded.retried
        if recorded.notices:
            self._on_news()
        if not self._flights and not claimed and (self._batch.tagged or self._batch.failed):
            log.info("batch_done", tagged=self._batch.tagged, failed=self._batch.failed, retried=self._batch.retried)
            self._batch = Recorded()

    async def _renew(self, session: AsyncSession, now: datetime) -> None:
        """Prolong leases each third of their length."""
        if self._flights and time.monotonic() - self._renewed_at >= self._lease / 3:
            posts = [post for flight in self._flights for post in flight.posts]
            await queue.renew(session, posts, now + timedelta(seconds=self._lease))
            self._renewed_at = time.monotonic()

    def _probing(self) -> set[str]:
        return {flight.model for flight in self._flights if flight.is_probe}

    def _room(self, states: dict[str, ModelState], now: datetime) -> tuple[int, float]:
        """How many posts to claim, and how long to wait if none."""
        admitted = admission(self._chain, states, now, self._probing())
        free = self._concurrency - len(self._flights)
        if admitted.capacity is not None and not self._probe_asked:
            free = min(free, admitted.capacity)
        if free <= 0:
            until = admitted.until
            return 0, max(0.05, (until - now).total_seconds()) if until else IDLE_SECONDS
        model = next(iter(candidates(self._chain, states, now, self._probing())), self._chain[0])
        delay = self._pacer.delay(model, time.monotonic())
        if delay > 0:
            return 0, delay
        # Any model of the chain may be the next: one request a turn keeps the pace of each.
        paced = any(self._pacer.paces(model) for model in self._chain)
        return (1 if paced or self._probe_asked else free), IDLE_SECONDS

    async def _claim(self, session: AsyncSession, room: int, now: datetime) -> list[ClaimedPost]:
        if not self._flights:
            self._renewed_at = time.monotonic()
        claimed = await queue.claim(
            session,
            limit=room,
            now=now,
            lease_seconds=self._lease,
            token=uuid4().hex,
            after_user=self._last_user,
        )
        if claimed:
            self._last_user = claimed[-1].user_id
        return claimed

    async def _assign(
        self, session: AsyncSession, claimed: Sequence[ClaimedPost], states: dict[str, ModelState], now: datetime
    ) -> list[tuple[ClaimedPost, tuple[str, ...], bool]]:
        """Choose a model for each post; settle those that need no request."""
        starts: list[tuple[ClaimedPost, tuple[str, ...], bool]] = []
        probing = self._probing()
        for post in claimed:
            values = _without_request(post)
            if values is not None:
                await queue.settle(session, post, values)
                await outbox.outcome_ready(session, [post.id], now)
                continue
            models, is_probe = self._models_for(post, states, now, probing)
            if not models:
                refused = Trail.from_json(post.trail).refused
                if self._refused_by_all(refused, states, now):
                    await self._recorder.give_up(session, post, now)
                    continue
                at = free_again_at(self._chain, states, refused, now) or now + timedelta(seconds=5)
                await queue.settle(session, post, {"next_attempt_at": at})
                continue
            if is_probe:
                probing.add(models[0])
            starts.append((post, models, is_probe))
        return starts

    def _models_for(
        self, post: ClaimedPost, states: dict[str, ModelState], now: datetime, probing: set[str]
    ) -> tuple[tuple[str, ...], bool]:
        trail = Trail.from_json(post.trail)
        allowed = candidates(self._chain, states, now, probing)
        if self._probe_asked:
            self._probe_asked = False
            if not allowed:
                present = [m for m in self._chain if m not in states or states[m].reason is not Aside.GONE]
                return tuple((present or list(self._chain))[:1]), True
        model = choose_model(self._chain, allowed, trail.asked, trail.refused)
        if model is None:
            return (), False
        state = states.get(model)
        sent = models_to_send(model, self._chain, allowed, trail.refused) if self._provider.extras else (model,)
        return sent, state is not None and state.is_half_open(now)

    def _refused_by_all(self, refused: Sequence[str], states: dict[str, ModelState], now: datetime) -> bool:
        """Whether every model that is not gone has refused the post: nobody is left to wait for."""
        gone = {m for m, state in states.items() if state.reason is Aside.GONE and state.is_aside(now)}
        return bool(refused) and set(self._chain) - gone <= set(refused)

    async def _idle_seconds(self, session: AsyncSession, now: datetime, *, found: bool) -> float:
        if found:
            return 0.0 if not self._flights else IDLE_SECONDS
        due = await queue.next_due_at(session, now)
        if due is None:
            return IDLE_SECONDS
        # Due, yet not claimed: another process held the rows for the moment.
        return max(1.0, (due - now).total_seconds()) if due == now else (due - now).total_seconds()

    def _start(self, post: ClaimedPost, models: tuple[str, ...], *, is_probe: bool) -> None:
        self._pacer.started(models[0], time.monotonic())
        task = asyncio.create_task(self._provider.ask(Request((post.text or "",), models)))
        task.add_done_callback(lambda _: self._signal.set())
        self._flights.append(Flight((post,), models[0], is_probe, task))

    async def _finish(self) -> None:
        """Let what is in flight end, record it, and give back the rest."""
        tasks = [flight.task for flight in self._flights]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        self._collect()
        for flight in self._flights:
            flight.task.cancel()
        try:
            async with self._database.write() as session:
                if self._finished:
                    await self._recorder.record(session, self._finished)
                await queue.release(session, [post for flight in self._flights for post in flight.posts])
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("leases_not_given_back", error=type(error).__name__)


def _without_request(post: ClaimedPost) -> dict[str, object] | None:
    """What a row becomes that needs no model: no text, or tags that nobody asked anew. Else None."""
    if not (post.text or "").strip():
        status = "success" if post.tags else "skipped"
    elif post.tags and post.requested_at is None:
        status = "success"
    else:
        return None
    return {"tagging_status": status, "next_attempt_at": None, "attempt_trail": None, "requested_at": None}
