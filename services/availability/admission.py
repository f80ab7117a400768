"""How many requests may start now, by circuit breakers, rate limits, slow start, concurrency and the retry budget."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.availability.circuit_breaker import ModelState
from services.availability.concurrency_limit import ConcurrencyLimit
from services.availability.model_choice import candidates, is_paused, next_probe_at
from services.availability.rate_limit import LimitStates, SharedRateLimits
from services.availability.retry_budget import RetryBudget

SHORTEST_WAIT = 0.05


@dataclass(frozen=True, slots=True)
class ProviderView:
    models: dict[str, ModelState]
    limits: LimitStates
    now: datetime


@dataclass(frozen=True, slots=True)
class Admission:
    """How many requests may start, and posts in each. `wait`: seconds until more may start; None: when one ends."""

    requests: int
    batch_size: int = 1
    wait: float | None = None


class AdmissionControl:
    def __init__(
        self,
        chain: Sequence[str],
        rate_limits: SharedRateLimits,
        *,
        concurrency: int,
        batch_size: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain = tuple(chain)
        self._rate_limits = rate_limits
        self._most = concurrency
        self._batch_size = batch_size
        self._monotonic = monotonic
        self._concurrency = ConcurrencyLimit(concurrency)
        self._retries = RetryBudget()

    def admit(self, view: ProviderView, in_flight: int, *, probe: bool) -> Admission:
        if is_paused(self._chain, view.models, view.now):
            self._concurrency.restart()
            probe_at = next_probe_at(self._chain, view.models, view.now)
            if not probe and probe_at != view.now:
                return Admission(0, wait=seconds_until(probe_at, view.now))
            free, admission = self._most - in_flight, Admission(1)
        else:
            free = self._concurrency.room(in_flight)
            admission = self._in_service(view, free, probe=probe)
        model = next(iter(candidates(self._chain, view.models, view.now)), self._chain[0])
        wait = self._rate_limits.wait(model, view.limits, view.now)
        if free <= 0 or wait:
            return Admission(0, wait=wait or None)
        return admission

    def _in_service(self, view: ProviderView, free: int, *, probe: bool) -> Admission:
        # Each slot of a rate limit is booked in a turn of its own.
        if probe:
            return Admission(1, wait=0.0)
        if self._rate_limits.are_paced(view.limits, view.now):
            return Admission(1, self._batch_size, wait=0.0)
        return Admission(free, self._batch_size)

    def retries(self) -> int:
        return self._retries.left(self._monotonic())

    def retry_wait(self) -> float:
        return self._retries.wait(self._monotonic())

    def started(self, *, is_retry: bool) -> None:
        self._retries.started(self._monotonic(), is_retry=is_retry)

    def ended(self, *, answered: int, timed_out: int, refused_access: bool) -> None:
        """`refused_access`: the provider refused the account or a model."""
        if refused_access:
            self._concurrency.restart()
        else:
            self._concurrency.learn(answered, timed_out)


def seconds_until(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(SHORTEST_WAIT, (moment - now).total_seconds())
