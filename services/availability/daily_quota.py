"""The day's quota of requests to free models, as `GET /key` tells it (which costs no request).

Source: https://openrouter.ai/docs/api/reference/limits
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import quota_spent
from services.availability.model_names import is_free
from services.availability.model_states import load_states, save_states
from services.availability.quota_planner import WINDOWS, Arrivals, Waiting, reserve_of, wait_for_company
from services.availability.rate_limit import FREE_SCOPE, LimitState
from services.background_task import BackgroundTask
from services.clock import Clock, day_ends, utc_day
from services.llm.client import Provider
from storage.db.engine import Database
from storage.queue import arrivals as arrival_rows
from storage.queue import limits
from storage.queue import model_states as upstream_rows
from storage.queue.arrivals import PostCounts
from storage.queue.claim import Priority

log = structlog.get_logger(__name__)

#: OpenRouter's quota on free models without bought credits, and with.
FREE_REQUESTS_PER_DAY, PAID_REQUESTS_PER_DAY = 50, 1000
EVERY = timedelta(minutes=15)
#: So many batches of waiting posts are counted.
COUNTED = 3


@dataclass(frozen=True, slots=True)
class NextBatch:
    """The next batch of posts that nobody asked for: how many wait (few are counted), and for how many seconds."""

    waiting: int
    wait: float


@dataclass(frozen=True, slots=True)
class DayQuota:
    """Requests to free models: allowed a day, and made today (None: not said)."""

    limit: int
    used: int | None
    #: Else it follows from the kind of account.
    is_stated: bool = True


def remaining_today(state: LimitState, now: datetime) -> int | None:
    """Requests left of the day's quota; None when it is unknown, or more were made than it allows."""
    if state.day_limit is None:
        return None
    used = state.day_used if state.day == utc_day(now) else 0
    return state.day_limit - used if used <= state.day_limit else None


def backlog_through(requests: int, state: LimitState, interval: timedelta | None, now: datetime) -> datetime | None:
    """When this many requests will have been made under the quota and the rate limit; None: no limit is known."""
    remaining = remaining_today(state, now)
    pause = interval or timedelta(0)
    if remaining is None or requests <= remaining:
        return now + pause * requests if interval else None
    days, last = divmod(requests - remaining - 1, max(1, state.day_limit or 1))
    return day_ends(now) + timedelta(days=days) + pause * (last + 1)


async def next_batch(session: AsyncSession, state: LimitState, batch_size: int, now: datetime) -> NextBatch | None:
    """When the day's quota lets posts go that nobody asked for; None: the provider has not stated the quota."""
    left = remaining_today(state, now)
    if left is None or not state.day_limit_stated:
        return None
    ends = day_ends(now)
    windows = [timedelta(seconds=seconds) for seconds in WINDOWS]
    counts = await arrival_rows.count(session, now, ends - timedelta(days=1), windows, COUNTED * batch_size)
    wait = wait_for_company(
        left,
        (ends - now).total_seconds(),
        Arrivals(counts.lately, counts.today, counts.yesterday_until_now, counts.yesterday_from_now),
        _waiting(counts, now),
        batch_size=batch_size,
        reserve=reserve_of(state.day_limit or 0),
    )
    return NextBatch(len(counts.waiting), wait)


def _waiting(counts: PostCounts, now: datetime) -> Waiting:
    fresh = [post for post in counts.waiting if post.work_class <= Priority.RETRY]
    # The two share no request.
    kinds = [[post.since for post in fresh if post.is_retry is kind] for kind in (False, True)]
    most = max(kinds, key=len)
    return Waiting(
        fresh=len(most),
        oldest=max(0.0, (now - min(most)).total_seconds()) if most else 0.0,
        others=len(fresh) - len(most),
        retry_run=any(post.work_class == Priority.BULK for post in counts.waiting),
        backfill=any(post.work_class > Priority.BULK for post in counts.waiting),
    )


def read_quota(answer: Any) -> DayQuota | None:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        return None
    stated = data.get("free_model_daily_requests")
    if isinstance(stated, dict):
        limit, used, remaining = (_count(stated.get(name)) for name in ("limit", "used", "remaining"))
        if limit is None and used is not None and remaining is not None:
            limit = used + remaining
        if limit is not None:
            return DayQuota(limit, used if remaining is None else max(0, limit - remaining))
    if isinstance(data.get("is_free_tier"), bool):
        return DayQuota(FREE_REQUESTS_PER_DAY if data["is_free_tier"] else PAID_REQUESTS_PER_DAY, None, is_stated=False)
    return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


class QuotaWatch(BackgroundTask):
    """Asks at the start and every quarter of an hour, if free models are in use and the server knows `GET /key`."""

    def __init__(self, database: Database, provider: Provider, chain: Sequence[str], clock: Clock) -> None:
        super().__init__()
        self._database = database
        self._provider = provider
        self._chain = tuple(chain)
        self._clock = clock

    async def work(self) -> float:
        if any(map(is_free, self._chain)):
            await self.check()
        else:
            self.stop()
        if not self._provider.tells_key:
            self.stop()
        return EVERY.total_seconds()

    async def check(self) -> None:
        if not self._provider.tells_key:
            return
        now = self._clock()
        async with self._database.write() as session:
            await limits.ensure(session, [FREE_SCOPE])
            if not await limits.claim_check(session, FREE_SCOPE, now, now - EVERY / 2):
                return
        found = read_quota(await self._provider.key())
        if found is not None:
            await self._keep(found)

    async def _keep(self, found: DayQuota) -> None:
        now = self._clock()
        used = {} if found.used is None else {"day": utc_day(now), "day_used": found.used}
        async with self._database.write() as session:
            if found.used is not None and found.used >= found.limit:
                await upstream_rows.lock(session)
                states = await load_states(session)
                spent = quota_spent(states, self._chain, day_ends(now), now)
                await save_states(session, list(spent.values()))
                log.warning("quota_spent", limit=found.limit, until=day_ends(now).isoformat())
            await limits.learn(session, FREE_SCOPE, day_limit=found.limit, day_limit_stated=found.is_stated, **used)
