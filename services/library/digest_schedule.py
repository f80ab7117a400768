"""PURE: when a person's digest is due, in their time zone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

#: A digest that could not be made in time is left out after this; the next one covers its days, too.
LATE_FOR = timedelta(days=1)


class Every(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The digest comes each day, or each Monday, at `hour` of `zone`."""

    every: Every
    hour: int
    zone: ZoneInfo

    @property
    def period(self) -> timedelta:
        return timedelta(days=7 if self.every is Every.WEEKLY else 1)

    def last_due(self, now: datetime) -> datetime:
        """The last time up to `now` at which a digest was due."""
        local = now.astimezone(self.zone)
        day = local.date() - timedelta(days=local.weekday() if self.every is Every.WEEKLY else 0)
        # Not by adding hours: days with a change to or from summer time have 23 or 25.
        while (due := self._at(day.year, day.month, day.day)) > now:
            day -= self.period
        return due

    def _at(self, year: int, month: int, day: int) -> datetime:
        return datetime(year, month, day, self.hour, tzinfo=self.zone).astimezone(UTC)

    def due_period(self, covered_until: datetime | None, now: datetime) -> tuple[datetime, datetime] | None:
        """The time that a digest is to cover now; None: none is due. `covered_until`: the end of the last one."""
        due = self.last_due(now)
        if now - due >= LATE_FOR or (covered_until is not None and covered_until >= due):
            return None
        since = due - self.period
        return (since if covered_until is None else covered_until, due)
