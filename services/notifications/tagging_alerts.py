"""What the administrators are told unasked: that tagging stands still, that much fails, and that it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from services.availability.circuit_breaker import Aside
from services.availability.model_choice import pause_reason
from services.availability.model_states import load_states
from services.clock import Clock
from storage import outbox
from storage.db.engine import Database
from storage.queue import attempt_log
from storage.queue import model_states as upstream_rows

log = structlog.get_logger(__name__)

#: An outage soon after the last one is told only if it lasts: an upstream that comes and goes is one piece of news.
SOON, LASTS = timedelta(minutes=10), timedelta(seconds=60)
FAILING_WITHIN = timedelta(hours=1)
PIECE = timedelta(minutes=15)
FEWEST_ATTEMPTS = 20
PAUSE, RECOVERED, FAILING = "pause", "recovered", "failing"

#: Pauses that are told, by the words for them; a limit is none: it is expected, and /stats says until when.
_TEXTS = {
    Aside.ACCOUNT: "account",
    Aside.FORBIDDEN: "account",
    Aside.DOWN: "outage",
    Aside.GONE: "models_gone",
}


class PauseAlerts:
    """One message when tagging stands still, one when it goes on; in the transaction in which that is found."""

    def __init__(self, admin_ids: Collection[int]) -> None:
        self._admin_ids = admin_ids

    async def changed(
        self, session: AsyncSession, before: Aside | None, after: Aside | None, detail: str, now: datetime
    ) -> None:
        """The reason of the pause was `before`, and is now `after` (None: no pause)."""
        text = _TEXTS.get(after) if after else None
        if text is not None:
            await self._begins(session, text, detail, now)
        elif after is None and before is not None:
            await self.over(session, now)

    async def over(self, session: AsyncSession, now: datetime) -> None:
        """Tagging goes on: whoever was told of the pause is told so."""
        told = await outbox.close_topic(session, PAUSE, now)
        await outbox.tell_admins(session, told, {"text": "recovered"}, now, topic=RECOVERED)

    async def _begins(self, session: AsyncSession, text: str, detail: str, now: datetime) -> None:
        known = {(row.payload or {}).get("text") for row in await outbox.open_topic(session, PAUSE)}
        if text in known:
            return
        last = await outbox.last_of_topic(session, RECOVERED)
        ready_at = now + LASTS if text == "outage" and last is not None and now - last < SOON else now
        payload = {"text": text, "reason": detail}
        await outbox.tell_admins(session, self._admin_ids, payload, now, topic=PAUSE, ready_at=ready_at)


@dataclass(frozen=True, slots=True)
class FailedShare:
    """Attempts that ended in the last hour, and the last request's outcome of those that failed."""

    attempts: int
    reasons: Counter[str]

    @property
    def percent(self) -> float:
        """Of the attempts, how many failed."""
        return 100 * self.reasons.total() / self.attempts if self.attempts else 0.0


class AlertWatch:
    """What no single outcome shows: looked at by the scheduler.

    ALERT_FAILED_PERCENT: one message when more of the last hour's attempts failed, the next only after it was well
    in between. And a pause that ended by time alone (or by other models in the settings) is told to be over.
    """

    def __init__(
        self, database: Database, chain: Sequence[str], admin_ids: Collection[int], percent: float, clock: Clock
    ) -> None:
        self._database = database
        self._chain = tuple(chain)
        self._admin_ids = admin_ids
        self._percent = percent
        self._clock = clock

    async def check(self) -> bool:
        """Look once; whether the administrators are told anything now."""
        now = self._clock()
        async with self._database.read() as session:
            pause_is_over = await self._is_pause_over(session, now)
            share = await _share(session, now)
            is_told = bool(await outbox.open_topic(session, FAILING))
        return (pause_is_over and await self._tell_over(now)) or await self._tell_failing(share, is_told, now)

    async def _is_pause_over(self, session: AsyncSession, now: datetime) -> bool:
        """Whether there is none, and the administrators still think so."""
        stands = pause_reason(self._chain, await load_states(session), now) is not None
        return not stands and bool(await outbox.open_topic(session, PAUSE))

    async def _tell_over(self, now: datetime) -> bool:
        async with self._database.write() as session:
            # A worker may see the pause end, or the next one begin, at the same time.
            await upstream_rows.lock(session)
            if pause_reason(self._chain, await load_states(session), now) is not None:
                return False
            await PauseAlerts(self._admin_ids).over(session, now)
        return True

    async def _tell_failing(self, share: FailedShare, is_told: bool, now: datetime) -> bool:
        fails = bool(self._admin_ids) and share.attempts >= FEWEST_ATTEMPTS and share.percent > self._percent
        if fails == is_told:
            return False
        async with self._database.write() as session:
            if not fails:
                await outbox.close_topic(session, FAILING, now)
                return False
            payload = {
                "text": FAILING,
                "failed": share.reasons.total(),
                "attempts": share.attempts,
                "reasons": dict(share.reasons.most_common(5)),
            }
            await outbox.tell_admins(session, self._admin_ids, payload, now, topic=FAILING)
        log.warning("many_attempts_fail", failed=share.reasons.total(), attempts=share.attempts)
        return True


async def _share(session: AsyncSession, now: datetime) -> FailedShare:
    """Of the last hour, in pieces: no statement reads what 100 posts a second leave behind in an hour."""
    attempts, failed = 0, Counter[str]()
    for number in range(FAILING_WITHIN // PIECE, 0, -1):
        since = now - number * PIECE
        # What a process with a clock ahead of ours has written belongs to the last piece.
        until = since + PIECE if number > 1 else now + FAILING_WITHIN
        for how, outcome, count in await attempt_log.ended_lately(session, since, until):
            attempts += count
            if how != "tagged":
                failed[outcome] += count
    return FailedShare(attempts, failed)
