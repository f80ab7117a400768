"""How many requests may be in flight while it is not sure that all are welcome."""

from __future__ import annotations

import time

#: Requests at once at a start: a key that is not accepted must not cost one request a place in flight.
FIRST_REQUESTS = 3
#: Slow answers are no reason to go slowly: after so many seconds with nothing but silence twice as many may go.
RAMP_SECONDS = 1.0


class Ramp:
    """One more with each answer, up to `most`; from one again after a pause or a refusal of the account."""

    def __init__(self, most: int) -> None:
        self._most = most
        # None: all of them may go.
        self._allowed: int | None = FIRST_REQUESTS
        self._since = 0.0

    @property
    def is_climbing(self) -> bool:
        """Whether fewer than all may go yet."""
        return self._allowed is not None

    def restart(self) -> None:
        """Begin anew, with one request."""
        self._allowed = 1

    def answered(self, requests: int) -> None:
        """So many requests got an answer of a model's."""
        if self._allowed is not None:
            self._allowed += requests

    def room(self, in_flight: int) -> int:
        """How many more may start now."""
        now = time.monotonic()
        if self._allowed is None or self._allowed >= self._most:
            self._allowed = None
            return self._most - in_flight
        if not in_flight:
            self._since = now
        elif now - self._since >= RAMP_SECONDS:
            self._allowed, self._since = self._allowed * 2, now
        return min(self._most, self._allowed) - in_flight

    def wait(self) -> float | None:
        """Seconds until more may start if no answer comes before; None: it is not the ramp that holds them back."""
        return None if self._allowed is None else max(0.05, self._since + RAMP_SECONDS - time.monotonic())
