from collections import deque

#: Retries after upstream faults: at most this share of a minute's requests …
RETRY_SHARE = 0.2
#: … but so many a minute in any case, or a quiet bot could never retry.
FREE_RETRIES = 30
RETRY_WINDOW = 60.0


class RetryBudget:
    """Limits retries after upstream faults to RETRY_SHARE of the requests. Times are monotonic seconds.

    Source: https://sre.google/sre-book/addressing-cascading-failures/
    """

    def __init__(self) -> None:
        self._requests: deque[tuple[float, bool]] = deque()
        self._retries = 0

    def started(self, now: float, *, is_retry: bool) -> None:
        self._requests.append((now, is_retry))
        self._retries += is_retry

    def left(self, now: float) -> int:
        self._forget(now)
        # r retries among n requests: one more is within the share while r + 1 <= share · (n + 1), and so on.
        shared = (RETRY_SHARE * len(self._requests) - self._retries) / (1 - RETRY_SHARE)
        return max(0, int(shared), FREE_RETRIES - self._retries)

    def wait(self, now: float) -> float:
        """Seconds until a retry may start if no other request comes before."""
        if self.left(now) > 0:
            return 0.0
        oldest = next((at for at, is_retry in self._requests if is_retry), now)
        return max(0.05, oldest + RETRY_WINDOW - now)

    def _forget(self, now: float) -> None:
        while self._requests and self._requests[0][0] <= now - RETRY_WINDOW:
            self._retries -= self._requests.popleft()[1]
