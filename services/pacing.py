"""Spaces requests evenly under TAGGING_REQUESTS_PER_MINUTE."""

from __future__ import annotations

from services.upstream import is_free

#: OpenRouter's limit on `:free` models (https://openrouter.ai/docs/api/reference/limits).
FREE_REQUESTS_PER_MINUTE = 20
#: A little slower than allowed: the provider counts arrivals, which the network shifts.
SLACK = 1.02


class Pacer:
    """One process's pace. `per_minute`: None for `auto` (free models only), 0 for no pacing, or a number."""

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._next = 0.0

    def delay(self, model: str, monotonic: float) -> float:
        """Seconds until a request to the model may start; 0: now."""
        return max(0.0, self._next - monotonic) if self._rate(model) else 0.0

    def started(self, model: str, monotonic: float) -> None:
        """A request to the model starts."""
        rate = self._rate(model)
        if rate:
            self._next = max(self._next, monotonic) + 60.0 / rate * SLACK

    def paces(self, model: str) -> bool:
        """Whether requests to the model are spaced at all."""
        return self._rate(model) > 0

    def _rate(self, model: str) -> int:
        if self._per_minute is None:
            return FREE_REQUESTS_PER_MINUTE if is_free(model) else 0
        return self._per_minute
