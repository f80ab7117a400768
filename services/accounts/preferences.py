from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from services.accounts.people import CurrentUser
from services.clock import Clock
from storage import outbox
from storage.accounts import people as rows
from storage.db.engine import Database
from storage.schema.tables import Person


class FailureNotices(StrEnum):
    EACH = "each"
    DIGEST = "digest"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Quiet:
    """From the first local hour until the second."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Settings:
    """`digest_hour`: when failures are told once a day."""

    time_zone: str
    failures: FailureNotices
    quiet: Quiet | None
    digest_hour: int


class Preferences:
    """What a person sets for themselves under /settings."""

    def __init__(self, database: Database, time_zone: ZoneInfo, clock: Clock) -> None:
        """`time_zone`: of people who have not chosen theirs."""
        self._database = database
        self._time_zone = time_zone
        self._clock = clock

    async def get(self, user: CurrentUser) -> Settings:
        async with self._database.read() as session:
            person = await rows.find(session, user.telegram_id)
        return self._settings(person or Person())

    async def choose_time_zone(self, user: CurrentUser, name: str) -> bool:
        """False if there is no such time zone. Case does not matter, and a space may stand for "_"."""
        wanted = name.strip().replace(" ", "_").casefold()
        zone = next((each for each in available_timezones() if each.casefold() == wanted), None)
        if zone is None:
            return False
        await self._save(user, time_zone=zone)
        return True

    async def choose_failures(self, user: CurrentUser, choice: FailureNotices) -> None:
        now = self._clock()
        async with self._database.write() as session:
            value = None if choice is FailureNotices.EACH else choice.value
            await rows.save(session, user.telegram_id, now, notices=value)
            if choice is FailureNotices.OFF:
                await outbox.withdraw_failed(session, user.telegram_id, now)

    async def choose_quiet(self, user: CurrentUser, quiet: Quiet | None) -> None:
        start, end = (quiet.start, quiet.end) if quiet else (None, None)
        await self._save(user, quiet_from=start, quiet_until=end)

    async def _save(self, user: CurrentUser, **values: Any) -> None:
        async with self._database.write() as session:
            await rows.save(session, user.telegram_id, self._clock(), **values)

    def _settings(self, person: Person) -> Settings:
        start, end = person.quiet_from, person.quiet_until
        return Settings(
            person.time_zone or self._time_zone.key,
            FailureNotices(person.notices or FailureNotices.EACH),
            None if start is None or end is None else Quiet(start, end),
            rows.digest_hour(person),
        )
