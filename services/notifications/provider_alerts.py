"""Alerts to the administrators: tagging is paused, many attempts fail, tagging goes on."""

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

#: An outage within REPEATED_WITHIN of a recovery is told only after LASTS: a flapping provider is one alert. So is one
#: of timeouts that began while posts were served: a server that is too slow for a moment is none.
REPEATED_WITHIN, LASTS = timedelta(minutes=10), timedelta(seconds=60)
#: ALERT_FAILED_PERCENT counts the attempts of this period, if there are FEWEST_ATTEMPTS or more.
FAILING_WITHIN = timedelta(hours=1)
FEWEST_ATTEMPTS = 20
PAUSE, RECOVERED, FAILING = "pause", "recovered", "failing"

#: Reason of a pause → kind of the alert. A rate limit is no alert: it is expected, and /stats shows its end.
_TEXTS = {
    Aside.ACCOUNT: "account",
    Aside.FORBIDDEN: "account",
    Aside.DOWN: "outage",
    Aside.GONE: "models_gone",
}


class PauseAlerts:
    """One alert when tagging is paused and one when it goes on, in the transaction that records the change."""

    def __init__(self, admin_ids: Collection[int]) -> None:
        self._admin_ids = admin_ids

    async def changed(
        self,
        session: AsyncSession,
        before: Aside | None,
        after: Aside | None,
        detail: str,
        now: datetime,
        *,
        may_be_slow: bool = False,
    ) -> None:
        """The reason of the pause was `before` and is now `after` (None: no pause).

        `may_be_slow`: the server has only let requests time out, and served others a moment ago.
        """
        text = _TEXTS.get(after) if after else None
        if text is not None:
            await self._begins(session, text, detail, now, may_be_slow=may_be_slow)
        elif after is None and before is not None:
            await self.over(session, now)

    async def over(self, session: AsyncSession, now: datetime) -> None:
        """Tagging goes on: tells those who were told of the pause."""
        told = await outbox.close_topic(session, PAUSE, now)
        await outbox.tell_admins(session, told, {"text": "recovered"}, now, topic=RECOVERED)

    async def _begins(self, session: AsyncSession, text: str, detail: str, now: datetime, *, may_be_slow: bool) -> None:
        known = {(row.payload or {}).get("text") for row in await outbox.open_topic(session, PAUSE)}
        if text in known:
            return
        last = await outbox.last_of_topic(session, RECOVERED)
        is_repeated = last is not None and now - last < REPEATED_WITHIN
        ready_at = now + LASTS if text == "outage" and (is_repeated or may_be_slow) else now
        payload = {"text": text, "reason": detail}
        await outbox.tell_admins(session, self._admin_ids, payload, now, topic=PAUSE, ready_at=ready_at)


@dataclass(frozen=True, slots=True)
class FailedShare:
    """Attempts that ended in the last hour, and the outcomes of the failed ones' last requests."""

    attempts: int
    reasons: Counter[str]

    @property
    def percent(self) -> float:
        return 100 * self.reasons.total() / self.attempts if self.attempts else 0.0


class AlertWatch:
    """Alerts that need a look at the database from time to time, by the scheduler.

    One alert when more than ALERT_FAILED_PERCENT of the last hour's attempts failed, the next one only after a
    better hour. And the end of a pause that ended by time alone, or by a change of the models in the settings.
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
        now = self._clock()
        async with self._database.read() as session:
            pause_is_over = await self._is_pause_over(session, now)
            share = await _share(session, now)
            is_told = bool(await outbox.open_topic(session, FAILING))
        return (pause_is_over and await self._tell_over(now)) or await self._tell_failing(share, is_told, now)

    async def _is_pause_over(self, session: AsyncSession, now: datetime) -> bool:
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
    attempts, failed = 0, Counter[str]()
    # No end in effect: the clock of another process may be ahead.
    for how, outcome, count in await attempt_log.ended_lately(session, now - FAILING_WITHIN, now + FAILING_WITHIN):
        attempts += count
        if how != "tagged":
            failed[outcome] += count
    return FailedShare(attempts, failed)
