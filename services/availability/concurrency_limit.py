"""PURE: how many requests may be in flight: slow start after an outage, fewer when the server is too slow."""

#: What a timeout leaves of the limit, and the least that the timeouts of one turn leave together.
AFTER_TIMEOUT, LEAST_LEFT = 0.7, 0.5
#: What an answer adds to a limit that timeouts have lowered. It grows while fewer than one request in ten times out.
AFTER_ANSWER = 1.03


class ConcurrencyLimit:
    """At most TAGGING_CONCURRENCY requests; one after an outage, and one more with each answer.

    Timeouts while other requests are answered mean that the server gets more than it can take: they lower the limit,
    which then recovers slowly.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        # Below this each answer adds a whole request.
        self._safe = float(most)
        self._answered_since = False

    def room(self, in_flight: int) -> int:
        return int(self._allowed) - in_flight

    def restart(self) -> None:
        self._allowed = 1.0

    def learn(self, answered: int, timed_out: int) -> None:
        for _ in range(answered):
            grown = self._allowed + 1 if self._allowed < self._safe else self._allowed * AFTER_ANSWER
            self._allowed = min(self._most, grown)
        self._answered_since |= answered > 0
        if timed_out:
            self._allowed = max(1.0, self._allowed * max(LEAST_LEFT, AFTER_TIMEOUT**timed_out))
            # Without an answer between them timeouts may be an outage: that says nothing of what the server can take.
            self._safe = self._allowed if self._answered_since else self._safe
            self._answered_since = False
        elif self._allowed >= self._most:
            self._safe = float(self._most)
