"""Learns the day's quota of requests to free models from `GET /key`, which costs no request of the quota.

Source: https://openrouter.ai/docs/api/reference/limits
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from services.availability.budget import FREE_LANE, FREE_REQUESTS_PER_DAY, PAID_REQUESTS_PER_DAY
from services.availability.circuit_breaker import is_free, quota_spent
from services.availability.model_states import load_states, save_states
from services.background_task import BackgroundTask
from services.clock import Clock, day_ends, utc_day
from services.llm.client import Provider
from storage.db.engine import Database
from storage.queue import limits
from storage.queue import model_states as upstream_rows

log = structlog.get_logger(__name__)

#: All processes together ask so often.
EVERY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class DayQuota:
    """Requests to free models: how many a day, and how many of this day's were made (None: not said)."""

    limit: int
    used: int | None


def read_quota(answer: Any) -> DayQuota | None:
    """The quota in an answer to `GET /key`; None when it says nothing of it."""
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
        return DayQuota(FREE_REQUESTS_PER_DAY if data["is_free_tier"] else PAID_REQUESTS_PER_DAY, None)
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
        """Check the quota. Ends if no free model is in use, or the server does not know `GET /key`."""
        if any(map(is_free, self._chain)):
            await self.check()
        else:
            self.stop()
        if not self._provider.tells_key:
            self.stop()
        return EVERY.total_seconds()

    async def check(self) -> None:
        """Ask, unless another process has lately, and keep what the provider says."""
        if not self._provider.tells_key:
            return
        now = self._clock()
        async with self._database.write() as session:
            await limits.ensure(session, [FREE_LANE])
            if not await limits.claim_check(session, FREE_LANE, now, now - EVERY / 2):
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
            await limits.learn(session, FREE_LANE, day_limit=found.limit, **used)
