"""claim → ask → decide → record, until nothing is due.

One loop owns the queue: whatever finished since the last turn is recorded and the free places are filled again
in one transaction, so that outcomes are written in groups while the other requests go on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.model_states import load_states
from services.llm.client import Call, Provider, Request
from services.llm.response_classifier import Kind
from services.tagging.dispatcher import Dispatcher, may_leave
from services.tagging.plans import Held, Plan, Start
from services.tagging.recorder import Finished, Recorded, Recorder
from services.tagging.tempo import MOST_READY, SILENCE_SECONDS, Tempo
from storage.db.engine import Database, is_unavailable
from storage.queue import leases, provider_waits
from storage.queue.claim import ClaimedPost

log = structlog.get_logger(__name__)

STOP_SECONDS = 15.0
#: The event loop is let to turn until it has brought no answer to its end so often.
BARREN_ROUNDS = 4
#: Answers to quick requests are gathered for so long: a transaction of many costs each post less (docs/performance.md).
GATHER_SECONDS = 0.05
FIRST_DATABASE_PAUSE, LONGEST_DATABASE_PAUSE = 0.5, 5.0


@dataclass(slots=True, eq=False)
class Flight:
    """A request that has left, and what it came to."""

    start: Start
    call: Call | None = None

    @property
    def is_smooth(self) -> bool:
        """Whether it has brought tags."""
        return self.call is not None and self.call.outcome.kind is Kind.TAGGED


class Worker:
    """Works off the queue. `run` is its loop, `wake` says that something may be due, `stop` ends it.

    `tick_seconds`: it looks by itself so often; other processes' rows and leases that ran out say nothing.
    """

    def __init__(
        self,
        database: Database,
        provider: Provider,
        recorder: Recorder,
        dispatcher: Dispatcher,
        *,
        lease_seconds: float,
        tick_seconds: float,
        clock: Callable[[], datetime],
        on_news: Callable[[], None],
        on_finished: Callable[[Sequence[Finished]], None] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        """Take what it works with; `on_finished` is called with each group of requests once it is stored."""
        self._database = database
        self._provider = provider
        self._recorder = recorder
        self._dispatcher = dispatcher
        self._lease = lease_seconds
        self._tick = tick_seconds
        self._clock = clock
        self._on_news = on_news
        self._on_finished = on_finished
        self._stop_seconds = stop_seconds
        self._signal = asyncio.Event()
        self._stopping = False
        self._probe_asked = False
        self._flights: list[Flight] = []
        self._senders: set[asyncio.Task[None]] = set()
        # Answered, and not yet looked at by a turn.
        self._answered: deque[Flight] = deque()
        self._gathering: asyncio.TimerHandle | None = None
        self._gathered_at = 0.0
        # Something else than tags came: the turn that records it decides who is asked next.
        self._troubled = False
        # What is ready must be planned anew: a model must not be asked now, or the provider has become slow.
        self._outdated = False
        # Claimed and planned ahead of the places in flight: a claim of many costs little more than one of few.
        self._ready: deque[Start] = deque()
        # A turn is under way: its end decides what follows the answers that come meanwhile.
        self._turning = False
        self._tempo = Tempo()
        self._finished: list[Finished] = []
        self._renewed_at = 0.0
        # Until then no lease of what is held can have run out.
        self._sure_until = datetime.min.replace(tzinfo=UTC)
        # Posts may wait for a sign of the provider's, also since an earlier process saw it fail.
        self._maybe_waiting = True
        self._one_by_one = False
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
        pause = FIRST_DATABASE_PAUSE
        while not self._stopping:
            self._signal.clear()
            self._turning = True
            try:
                wait = await self._turn()
                pause = FIRST_DATABASE_PAUSE
            except Exception as error:
                self._failed(error, pause)
                wait, pause = pause, min(LONGEST_DATABASE_PAUSE, pause * 2)
            self._turning = False
            self._look_at_answers()
            await self._sleep(wait)
        await self._finish()

    def _failed(self, error: Exception, pause: float) -> None:
        if is_unavailable(error):
            log.warning("database_unavailable", error=type(error).__name__, again_in=pause)
            return
        log.exception("worker_error")
        # One outcome that cannot be stored must not keep the others from it.
        self._one_by_one = bool(self._finished)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._signal.wait()
        await self._let_others_finish()

    async def _let_others_finish(self) -> None:
        """What is answered already is recorded along with what woke us: a transaction costs as much as many rows."""
        barren, most = 0, len(self._answered) + self._dispatcher.concurrency
        while barren < BARREN_ROUNDS and self._flights and len(self._answered) < most:
            before = len(self._answered)
            await asyncio.sleep(0)
            barren = barren + 1 if len(self._answered) == before else 0

    async def _turn(self) -> float:
        """Record, renew, claim, start. Returns seconds until the next turn if no signal comes before."""
        self._collect()
        if self._one_by_one:
            await self._record_singly()
        probe, group, recorded = self._probe_asked, list(self._finished), Recorded()
        async with self._database.write() as session:
            began, unread = time.monotonic(), len(self._answered)
            if group:
                recorded = await self._recorder.record(session, group)
                self._dispatcher.recorded(recorded)
            # After rows may have been waited for: leases that are written are to hold from here on.
            now = self._clock()
            # After a standstill others may have had what is ready: what is still ours of it is planned anew.
            are_lost = bool(self._ready) and now >= self._sure_until
            is_renewed, renewed_at = await self._renew(session, now), time.monotonic()
            if recorded.tagged and self._maybe_waiting:
                await provider_waits.provider_serves(session)
            states = await load_states(session) if recorded.states is None else recorded.states
            self._tempo.learn([finished.call.seconds for finished in group], len(self._flights))
            ahead = self._tempo.ahead(self._dispatcher.concurrency)
            # What was planned for models that may not be asked now, or for a quicker provider, is planned anew, and
            # nothing of it leaves till then.
            models_changed = recorded.models_changed or not may_leave(self._ready, states, now)
            self._outdated = models_changed or are_lost or self._is_too_much(ahead)
            if self._outdated:
                await self._dispatcher.give_back(session, list(self._ready), now)
            held = Held(self._under_way(), [] if self._outdated else list(self._ready), ahead)
            plan = await self._dispatcher.plan(session, now, held, probe=probe, states=states)
        if self._database.is_sqlite:
            # A transaction has the event loop to itself, once the others' is through.
            self._tempo.held_up(time.monotonic() - began, len(self._answered) - unread)
        # Not before: a transaction that fails has prolonged nothing.
        if is_renewed:
            self._renewed_at, self._sure_until = renewed_at, now + timedelta(seconds=self._lease)
        self._planned(plan)
        del self._finished[: len(group)]
        self._troubled = not all(flight.is_smooth for flight in self._answered)
        self._stored(group)
        self._after(recorded, plan)
        self._start_ready()
        return self._pause_after(plan)

    def _is_too_much(self, ahead: int) -> bool:
        """Whether much of what is ready would not leave soon: others are kept from it, and wishes behind it wait."""
        return len(self._flights) + len(self._ready) > self._dispatcher.concurrency + MOST_READY * ahead

    def _planned(self, plan: Plan) -> None:
        if self._outdated:
            self._ready.clear()
        self._outdated = False
        # A person's wish leaves before what was planned earlier.
        self._ready = deque(sorted((*self._ready, *plan.starts), key=lambda start: start.work_class))

    def _start_ready(self) -> None:
        may_leave = not self._stopping and self._clock() < self._sure_until
        while may_leave and self._ready and len(self._flights) < self._dispatcher.concurrency:
            self._start(self._ready.popleft())

    def _pause_after(self, plan: Plan) -> float:
        longest = min(self._tick, self._lease / 3) if self._flights else self._tick
        if self._ready:
            longest = min(longest, SILENCE_SECONDS)
        return longest if plan.wait is None else min(plan.wait, longest)

    def _collect(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        while self._answered:
            flight = self._answered.popleft()
            start = flight.start
            if flight.call is not None:
                self._finished.append(Finished(start.posts, flight.call, start.is_probe, start.keys))

    async def _record_singly(self) -> None:
        """After a group could not be stored: each request by itself, then each post; what cannot be still fails."""
        while self._finished:
            finished = self._finished[0]
            try:
                async with self._database.write() as session:
                    recorded = await self._recorder.record(session, [finished])
            except Exception as error:
                if is_unavailable(error):
                    raise
                if len(finished.posts) > 1:
                    self._finished[:1] = finished.singles()
                    continue
                log.exception("outcome_not_stored", post_id=finished.posts[0].id)
                async with self._database.write() as session:
                    error_text = "the answer could not be stored"
                    await self._recorder.give_up(session, finished.posts[0], "exhausted", error_text, self._clock())
            else:
                self._stored([finished])
                self._after(recorded, Plan())
            del self._finished[0]
        self._one_by_one = False

    def _stored(self, group: Sequence[Finished]) -> None:
        if group and self._on_finished is not None:
            self._on_finished(group)

    def _after(self, recorded: Recorded, plan: Plan) -> None:
        # Also when another process's probe is under way: that one answers the question.
        self._probe_asked = self._probe_asked and not plan.claimed
        self._maybe_waiting = recorded.waiting or (self._maybe_waiting and not recorded.tagged)
        self._batch.tagged += recorded.tagged
        self._batch.failed += recorded.failed
        self._batch.retried += recorded.retried
        if recorded.notices or plan.notices:
            self._on_news()
        is_idle = not (self._under_way() or self._ready or plan.claimed)
        if is_idle and (self._batch.tagged or self._batch.failed):
            log.info("batch_done", tagged=self._batch.tagged, failed=self._batch.failed, retried=self._batch.retried)
            self._batch = Recorded()

    async def _renew(self, session: AsyncSession, now: datetime) -> bool:
        """Prolong leases each third of their length; whether none is left that is older."""
        held = self._held()
        is_time = time.monotonic() - self._renewed_at >= self._lease / 3
        if held and is_time:
            await leases.renew(session, held, now + timedelta(seconds=self._lease))
        return is_time or not held

    def _held(self) -> list[ClaimedPost]:
        return [post for start in (*self._under_way(), *self._ready) for post in start.posts]

    def _under_way(self) -> list[Start]:
        """Requests that have left and are not looked at by a turn yet, answered or not."""
        return [flight.start for flight in (*self._flights, *self._answered)]

    def _start(self, start: Start) -> None:
        sender = asyncio.create_task(self._send(self._leaves(start)))
        self._senders.add(sender)
        sender.add_done_callback(self._senders.discard)

    def _leaves(self, start: Start) -> Flight:
        self._dispatcher.started(start)
        if not self._flights:
            self._tempo.heard()
        flight = Flight(start)
        self._flights.append(flight)
        return flight

    async def _send(self, flight: Flight) -> None:
        """Make a request, and then those that may leave at once: a task for each would cost each a twentieth more."""
        following: Flight | None = flight
        while following is not None:
            start = following.start
            texts = tuple(post.text or "" for post in start.posts)
            try:
                following.call = await self._provider.ask(Request(texts, start.models))
            except Exception:
                # Its posts are due again when their leases have run out.
                log.exception("request_error")
            following = self._landed(following)

    def _landed(self, flight: Flight) -> Flight | None:
        """Returns the request that leaves in its place at once, if one may."""
        self._flights.remove(flight)
        self._tempo.heard()
        self._answered.append(flight)
        self._troubled = self._troubled or not flight.is_smooth
        following = self._leaves(self._ready.popleft()) if self._goes_on() else None
        if not self._turning:
            self._look_at_answers()
        return following

    def _look_at_answers(self) -> None:
        """Those of quick requests are stored together: when nothing more may leave, or with the first that comes after
        GATHER_SECONDS; after twice as long in any case."""
        if not self._answered:
            return
        if not self._goes_on():
            self._signal.set()
        elif self._gathering is None:
            self._gathered_at = time.monotonic() + GATHER_SECONDS
            self._gathering = asyncio.get_running_loop().call_later(2 * GATHER_SECONDS, self._signal.set)
        elif time.monotonic() >= self._gathered_at:
            # As answers come, and others leave in their place: these are under way while the turn keeps the event loop.
            self._signal.set()

    def _goes_on(self) -> bool:
        """Whether the next request may leave before a turn has stored the answers that are there."""
        may_leave = not (self._troubled or self._outdated or self._stopping)
        return may_leave and bool(self._ready) and self._tempo.is_quick and self._clock() < self._sure_until

    async def _finish(self) -> None:
        """Give back what has not left, let what is in flight end, record it, and give back the rest."""
        if self._ready:
            await self._at_the_end("leases_not_given_back", self._give_back_ready)
        if self._flights:
            await self._at_the_end("leases_not_renewed", self._renew_for_the_end)
        # Some may have landed meanwhile.
        if self._senders:
            await asyncio.wait(self._senders, timeout=self._stop_seconds)
        self._collect()
        for sender in self._senders:
            sender.cancel()
        # Not all in one transaction: what cannot be stored would take the others with it.
        await self._at_the_end("outcomes_not_stored", self._record_singly)
        await self._at_the_end("leases_not_given_back", self._give_back)

    async def _at_the_end(self, complaint: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            if is_unavailable(error):
                log.warning(complaint, error=type(error).__name__)
            else:
                log.exception(complaint)

    async def _give_back_ready(self) -> None:
        async with self._database.write() as session:
            await self._dispatcher.give_back(session, list(self._ready), self._clock())
        self._ready.clear()

    async def _renew_for_the_end(self) -> None:
        until = self._clock() + timedelta(seconds=max(self._lease, self._stop_seconds + 5))
        async with self._database.write() as session:
            await leases.renew(session, self._held(), until)

    async def _give_back(self) -> None:
        async with self._database.write() as session:
            await self._dispatcher.give_back(session, self._under_way(), self._clock(), have_left=True)
            await self._dispatcher.give_back(session, list(self._ready), self._clock())
