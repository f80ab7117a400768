"""A bell between parts that come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bell:
    """Rung when there is something to do; heard by whoever does it at the time, if there is anybody."""

    def __init__(self) -> None:
        self._heard: Callable[[], None] | None = None

    def ring(self) -> None:
        """Heard by nobody, the work waits in the database."""
        if self._heard is not None:
            self._heard()

    @contextmanager
    def heard_by(self, wake: Callable[[], None]) -> Iterator[None]:
        """While the block runs."""
        self._heard = wake
        try:
            yield
        finally:
            self._heard = None
