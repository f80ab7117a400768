"""The use cases of tagging that the bot, the API and the scheduler call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import ModelState, observe
from services.availability.model_choice import candidates, choose_model, models_to_send
from services.availability.provider_status import ProviderState, ProviderWatch, disabled
from services.availability.rate_limit import RateLimit
from services.llm.client import Provider, Request
from services.tagging.retry_policy import AskAgain, AttemptTrail, Policy, Tagged, Upstream, decide
from storage import outbox
from storage.db.engine import Database
from storage.db.locks import lock_post
from storage.posts import received_updates
from storage.queue import attempt_log, provider_waits, retry_requests
from storage.schema import parser_tables
from storage.schema.tables import RetryRun

log = structlog.get_logger(__name__)

PROGRESS_FOR = timedelta(minutes=15)
ATTEMPTS_KEPT = timedelta(days=30)
PRUNED_AT_ONCE = 1000
#: Telegram keeps an update for a day, and sends none again after that.
UPDATES_KEPT = timedelta(days=1)
#: The daily retry takes posts whose last attempt is no older.
NIGHTLY_FOR = timedelta(days=7)
LIMITS = range(1, 1001)


class TaggingFailedError(Exception):
    """No model gave tags; the message says why, in plain words."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """A person who waits for a post's outcome, and the message that will show it (None: a new one)."""

    telegram_id: int
    chat_id: int
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    post_id: int
    outbox_id: int | None = None


@dataclass(frozen=True, slots=True)
class RetryReceipt:
    """A /retry: its id (None if nobody watches it), and how many posts it queued."""

    batch_id: int | None
    queued: int


@dataclass(frozen=True, slots=True)
class RetryProgress:
    """How far a /retry has come; any of the last four ends its message."""

    batch_id: int
    chat_id: int
    message_id: int
    telegram_id: int
    total: int
    success: int
    failed: int
    waiting: int
    in_work: int
    finished: bool
    stopped: bool
    paused_until: datetime | None
    too_long: bool


@dataclass(frozen=True, slots=True)
class GeneratedTags:
    tags: tuple[str, ...]
    model: str
    requests: int


class TaggingService:
    """Asks for tags; the worker that gives them may run in another process.

    `wake` and `probe` reach the worker of this process; elsewhere its tick finds the rows.
    """

    def __init__(
        self,
        database: Database,
        provider: Provider,
        chain: Sequence[str],
        policy: Policy,
        rate_limit: RateLimit,
        *,
        batch_size: int,
        enabled: bool,
        wake: Callable[[], None],
        probe: Callable[[], None],
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._database = database
        self._provider = provider
        self._chain = tuple(chain)
        self._policy = policy
        self._provider_watch = ProviderWatch(database, chain, rate_limit, batch_size, clock)
        self._batch_size = batch_size
        self.enabled = enabled
        self._wake = wake
        self._probe = probe
        self._clock = clock
        self._random = random

    async def generate_tags_for_text(self, text: str) -> GeneratedTags:
        """Tags for a text that is in no post: one attempt, with its retries, at once.

        Raises:
            TaggingFailedError: no model gave tags.
        """
        trail, states, requests = AttemptTrail(), dict[str, ModelState](), 0
        upstream = Upstream(models=self._chain, is_down=False, last_success_at=None)
        while requests <= self._policy.max_retries + len(self._chain):
            now = self._clock()
            allowed = candidates(self._chain, states, now)
            model = choose_model(self._chain, allowed, trail.asked, trail.refused)
            if model is None:
                break
            sent = models_to_send(model, self._chain, allowed, trail.refused) if self._provider.extras else (model,)
            call = await self._provider.ask(Request((text,), sent))
            requests += 1
            outcome = call.outcomes[0]
            states.update(observe(states, self._chain, sent, call.answered, outcome, now, self._random))
            decision = decide(0, trail, model, outcome, upstream, self._policy, now, now, self._random)
            if isinstance(decision, Tagged):
                return GeneratedTags(decision.tags, call.answered or model, requests)
            if not isinstance(decision, AskAgain):
                raise TaggingFailedError(f"{outcome.reason} ({model})")
            trail = decision.trail
            await asyncio.sleep(max(0.0, (decision.at - now).total_seconds()) if decision.at else 0.0)
        raise TaggingFailedError("no model may be asked now")

    async def update_post_tags(
        self,
        post_id: int,
        force_retry: bool = False,
        *,
        user_id: int | None = None,
        watcher: Watcher | None = None,
    ) -> Queued | None:
        """Queue a post for new tags, first in the order of work; it keeps its old tags until they come.

        `force_retry`: ask the provider again even in a pause; `user_id`: the post's owner (None: any).
        """
        async with self._database.write() as session:
            if not await lock_post(session, post_id, user_id):
                return None
            await retry_requests.ask_anew(session, post_id, self._clock())
            outbox_id = await self._watch(session, post_id, watcher)
        self._go(force=force_retry)
        return Queued(post_id, outbox_id)

    async def retry_post(
        self, post_id: int, *, user_id: int | None = None, force: bool = False, watcher: Watcher | None = None
    ) -> Queued | None:
        """Give one post another attempt, first in the order of work; None when there is no such post.

        A post that is in work, or has its tags, is left as it is, and the watcher is told so.
        """
        async with self._database.write() as session:
            if not await lock_post(session, post_id, user_id):
                return None
            await retry_requests.ask_again(session, [post_id], user_id, self._clock(), force=force)
            outbox_id = await self._watch(session, post_id, watcher)
        self._go(force=force)
        return Queued(post_id, outbox_id)

    async def retry_failed_posts(
        self, user_id: int | None = None, limit: int = 50, force: bool = False, *, by_telegram_id: int | None = None
    ) -> RetryReceipt:
        """Make pending and retrying posts due, and give failed ones one more attempt.

        Args:
            user_id: the posts' owner (None: any). limit: 1–1000 posts.
            force: reset the attempts, too, and ask the provider again in a pause: for administrators only.
            by_telegram_id: the person who is shown progress, and may stop it.
        """
        if limit not in LIMITS:
            raise ValueError(f"limit must be from {LIMITS.start} to {LIMITS.stop - 1}")
        async with self._database.write() as session:
            batch_id, queued = await retry_requests.start_run(
                session, user_id=user_id, telegram_id=by_telegram_id, limit=limit, force=force, now=self._clock()
            )
        self._go(force=force)
        return RetryReceipt(batch_id, queued)

    async def show_progress(self, batch_id: int, chat_id: int, message_id: int) -> None:
        async with self._database.write() as session:
            batch = await session.get(RetryRun, batch_id)
            if batch is not None:
                batch.chat_id, batch.message_id = chat_id, message_id

    async def stop_retry(self, batch_id: int, telegram_id: int) -> int | None:
        """Take the rest of a /retry out of the queue; None when it is another person's."""
        async with self._database.write() as session:
            batch = await session.get(RetryRun, batch_id)
            if batch is None or batch.telegram_id != telegram_id:
                return None
            return 0 if batch.stopped else await retry_requests.stop_run(session, batch, self._clock())

    async def open_batches(self) -> list[RetryProgress]:
        now = self._clock()
        async with self._database.read() as session:
            batches = await retry_requests.open_runs(session)
            counted = [(batch, await retry_requests.count_run(session, batch, now)) for batch in batches]
        provider = await self.provider_state() if batches else None
        paused_until = provider.until if provider and provider.state != "open" else None
        return [_progress(batch, counts, paused_until, now) for batch, counts in counted]

    async def close_batch(self, batch_id: int) -> None:
        async with self._database.write() as session:
            batch = await session.get(RetryRun, batch_id)
            if batch is not None:
                batch.closed_at = self._clock()

    async def skip_post(self, post_id: int, *, user_id: int | None = None) -> bool | None:
        """Leave a post without tags; False when it was skipped or has tags; None when there is no such post."""
        async with self._database.write() as session:
            if not await lock_post(session, post_id, user_id):
                return None
            return await retry_requests.skip(session, post_id, self._clock())

    async def unskip_post(self, post_id: int, *, user_id: int | None = None) -> bool | None:
        """Undo a skip; False when the post was not skipped; None when there is no such post."""
        async with self._database.write() as session:
            if not await lock_post(session, post_id, user_id):
                return None
            return await retry_requests.unskip(session, post_id)

    async def send_now(self, user_id: int) -> int:
        """Send a user's next batch although it waits for company: their newest posts become asked for."""
        async with self._database.write() as session:
            count = await retry_requests.ask_for_waiting(session, user_id, self._batch_size, self._clock())
        self._wake()
        return count

    async def retry_nightly(self, limit: int) -> int:
        now = self._clock()
        async with self._database.write() as session:
            count = await retry_requests.queue_nightly(session, limit, now - NIGHTLY_FOR, now)
        self._wake()
        log.info("nightly_retry", queued=count)
        return count

    async def clean_up(self) -> None:
        """Delete old attempts, messages, /retry runs and updates, and adopt statuses that the parser wrote."""
        now = self._clock()
        pruned = await self._prune(attempt_log.prune_attempts, now - ATTEMPTS_KEPT)
        await self._prune(outbox.prune, now - ATTEMPTS_KEPT)
        async with self._database.write() as session:
            await retry_requests.prune_runs(session, now)
            await received_updates.prune(session, now - UPDATES_KEPT)
            adopted = await parser_tables.adopt_parser_verdicts(session)
        log.info("cleaned_up", attempts=pruned, adopted=adopted)

    async def _prune(self, prune: Callable[[AsyncSession, datetime, int], Awaitable[int]], before: datetime) -> int:
        """Delete in short transactions, which block others only briefly."""
        total, count = 0, PRUNED_AT_ONCE
        while count == PRUNED_AT_ONCE:
            async with self._database.write() as session:
                count = await prune(session, before, PRUNED_AT_ONCE)
            total += count
        return total

    async def probe(self) -> None:
        """Send one request even in a pause, about a waiting post if nothing else is due."""
        async with self._database.write() as session:
            await provider_waits.provider_is_back(session)
        self._probe()

    async def provider_state(self, *, backlog: bool = False) -> ProviderState:
        """Whether tagging goes on, else since when, why and until when; `backlog`: also when the queue is done."""
        if not self.enabled:
            return disabled(self._chain)
        return await self._provider_watch.state(backlog=backlog)

    async def _watch(self, session: AsyncSession, post_id: int, watcher: Watcher | None) -> int | None:
        if watcher is None:
            return None
        now = self._clock()
        outbox_id = await outbox.open_result(
            session,
            post_id=post_id,
            telegram_id=watcher.telegram_id,
            chat_id=watcher.chat_id,
            message_id=watcher.message_id,
            now=now,
        )
        if not await retry_requests.is_queued(session, post_id):
            await outbox.outcome_ready(session, [post_id], now)
        return outbox_id

    def _go(self, *, force: bool) -> None:
        if force:
            self._probe()
        self._wake()


def _progress(
    batch: RetryRun, counts: retry_requests.RetryRunCounts, paused_until: datetime | None, now: datetime
) -> RetryProgress:
    return RetryProgress(
        batch_id=batch.id,
        chat_id=batch.chat_id or batch.telegram_id,
        message_id=batch.message_id or 0,
        telegram_id=batch.telegram_id,
        total=counts.total,
        success=counts.success,
        failed=counts.failed,
        waiting=counts.waiting,
        in_work=counts.in_work,
        finished=counts.open == 0,
        stopped=batch.stopped,
        paused_until=paused_until,
        too_long=now - batch.created_at > PROGRESS_FOR,
    )
