"""The time, as an argument: tests give their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

#: Gives the time now, aware, in UTC.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)
