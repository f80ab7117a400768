"""The worker's loop: collect answers → record → claim → ask, until nothing is due.

A turn is one transaction: it records the requests that have ended since the last turn and claims posts for the free
places. No transaction is open while a model is asked.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.model_states import load_states
from services.llm.client import Call, Provider, Request
from services.tagging.dispatcher import Dispatcher
from services.tagging.recorder import Recorded, Recorder
from services.tagging.tagging_request import FinishedRequest, Plan, TaggingRequest
from storage.db.engine import Database, is_unavailable, unavailable_reason
from storage.queue import leases, provider_waits

log = structlog.get_logger(__name__)

STOP_SECONDS = 15.0
FIRST_DATABASE_PAUSE, LONGEST_DATABASE_PAUSE = 0.5, 5.0


class Worker:
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
        on_finished: Callable[[Sequence[FinishedRequest]], None] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        """`tick_seconds`: the longest time between two turns, which find other processes' rows and expired leases."""
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
        self._under_way: dict[asyncio.Task[Call], TaggingRequest] = {}
        self._finished: list[FinishedRequest] = []
        self._renewed_at = 0.0
        # Posts may wait for the provider, also since an earlier process saw it fail.
        self._maybe_waiting = True
        self._one_by_one = False
        self._batch = Recorded()

    def wake(self) -> None:
        self._signal.set()

    def probe(self) -> None:
        """Send one request even in a pause; its success ends the pause."""
        self._probe_asked = True
        self._signal.set()

    def stop(self) -> None:
        """Claim no more posts; `run` returns when the requests in flight have ended, after STOP_SECONDS at most."""
        self._stopping = True
        self._signal.set()

    async def run(self) -> None:
        pause = FIRST_DATABASE_PAUSE
        while not self._stopping:
            self._signal.clear()
            try:
                wait = await self._turn()
                pause = FIRST_DATABASE_PAUSE
            except Exception as error:
                self._failed(error, pause)
                wait, pause = pause, min(LONGEST_DATABASE_PAUSE, pause * 2)
            # The new requests leave before the next turn.
            await asyncio.sleep(0)
            if wait > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._signal.wait(), wait)
        await self._finish()

    def _failed(self, error: Exception, pause: float) -> None:
        if is_unavailable(error):
            log.warning("database_unavailable", error=unavailable_reason(error), again_in=pause)
            return
        log.exception("worker_error")
        # One outcome that cannot be stored must not keep the others from it.
        self._one_by_one = bool(self._finished)

    async def _turn(self) -> float:
        """Record, claim, start. Returns the seconds until the next turn if no signal comes before."""
        if self._one_by_one:
            await self._record_singly()
        async with self._database.write() as session:
            states = await load_states(session)
            # Not earlier: answers that came while the database was busy are stored along.
            self._collect()
            group, probe = list(self._finished), self._probe_asked
            recorded = await self._recorder.record(session, group, states)
            self._dispatcher.recorded(recorded)
            if recorded.tagged and self._maybe_waiting:
                await provider_waits.provider_serves(session)
            # After rows may have been waited for: leases hold from here on.
            now = self._clock()
            is_renewed = await self._renew(session, now)
            plan = Plan()
            if not self._stopping:
                under_way = list(self._under_way.values())
                states = states if recorded.states is None else recorded.states
                plan = await self._dispatcher.plan(session, now, under_way, probe=probe, states=states)
        if is_renewed:
            self._renewed_at = time.monotonic()
        del self._finished[: len(group)]
        for request in plan.requests:
            self._start(request)
        self._stored(group, recorded, plan)
        longest = min(self._tick, self._lease / 3) if self._under_way else self._tick
        return longest if plan.wait is None else min(plan.wait, longest)

    def _start(self, request: TaggingRequest) -> None:
        self._dispatcher.started(request)
        texts = tuple(post.text or "" for post in request.posts)
        task = asyncio.create_task(self._provider.ask(Request(texts, request.models, request.offers, request.rules)))
        self._under_way[task] = request
        task.add_done_callback(lambda _: self._signal.set())

    def _collect(self) -> None:
        for task in [task for task in self._under_way if task.done()]:
            request = self._under_way.pop(task)
            if error := task.exception():
                # Its posts are due again when their leases have run out.
                log.error("request_error", exc_info=error)
            else:
                self._finished.append(FinishedRequest(request, task.result()))

    async def _record_singly(self) -> None:
        """After a group could not be stored: each request by itself, then each post; one that still fails gives up."""
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
                self._stored([finished], recorded, Plan())
            del self._finished[0]
        self._one_by_one = False

    def _stored(self, group: Sequence[FinishedRequest], recorded: Recorded, plan: Plan) -> None:
        if group and self._on_finished is not None:
            self._on_finished(group)
        # Also when another process's probe is under way: that one answers the question.
        self._probe_asked = self._probe_asked and not plan.claimed
        self._maybe_waiting = recorded.waiting or (self._maybe_waiting and not recorded.tagged)
        self._batch.tagged += recorded.tagged
        self._batch.failed += recorded.failed
        self._batch.retried += recorded.retried
        if recorded.notices or plan.notices:
            self._on_news()
        is_idle = not (self._under_way or plan.claimed)
        if is_idle and (self._batch.tagged or self._batch.failed):
            log.info("batch_done", tagged=self._batch.tagged, failed=self._batch.failed, retried=self._batch.retried)
            self._batch = Recorded()

    async def _renew(self, session: AsyncSession, now: datetime) -> bool:
        """Renew leases each third of their length. Returns whether none is older than that now."""
        is_time = time.monotonic() - self._renewed_at >= self._lease / 3
        if self._under_way and is_time:
            await self._prolong(session, now + timedelta(seconds=self._lease))
        return is_time or not self._under_way

    async def _prolong(self, session: AsyncSession, until: datetime) -> None:
        await leases.renew(session, [post for request in self._under_way.values() for post in request.posts], until)

    async def _finish(self) -> None:
        if self._under_way:
            await self._at_the_end("leases_not_renewed", self._prolong_for_the_end)
            await asyncio.wait(list(self._under_way), timeout=self._stop_seconds)
        self._collect()
        for task in self._under_way:
            task.cancel()
        # Not all in one transaction: one that cannot be stored would take the others with it.
        await self._at_the_end("outcomes_not_stored", self._record_singly)
        await self._at_the_end("leases_not_given_back", self._give_back)

    async def _at_the_end(self, complaint: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            if is_unavailable(error):
                log.warning(complaint, error=unavailable_reason(error))
            else:
                log.exception(complaint)

    async def _prolong_for_the_end(self) -> None:
        async with self._database.write() as session:
            await self._prolong(session, self._clock() + timedelta(seconds=max(self._lease, self._stop_seconds + 5)))

    async def _give_back(self) -> None:
        async with self._database.write() as session:
            await self._dispatcher.give_back(session, list(self._under_way.values()))
