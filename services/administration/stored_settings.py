from collections.abc import Callable, Mapping
from typing import Any

from services.accounts.people import CurrentUser
from services.administration.rights import require_admin
from services.background_task import BackgroundTask
from services.clock import Clock
from storage.administration import journal
from storage.administration import settings as rows
from storage.db.engine import Database

#: How often a process looks for what another one has changed.
RELOAD_SECONDS = 3.0


class StoredSettings(BackgroundTask):
    """Settings that administrators changed in the chat. A setting without a stored value holds as .env has it.

    Every process has its own, and rereads it: on SQLite there is only one.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__()
        self._database = database
        self._clock = clock
        self._values: Mapping[str, Any] = {}
        self._listeners: list[Callable[[], None]] = []

    def get(self, name: str) -> Any:
        """The stored value as JSON has it; None: .env holds."""
        return self._values.get(name)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change, whichever process made it."""
        self._listeners.append(listener)

    async def save(self, by: CurrentUser, name: str, value: Any, *, details: dict[str, Any] | None = None) -> None:
        """Store a value and note it in the journal. `details`: what the journal says; never a secret.

        Raises:
            AdminsOnlyError: `by` is no administrator.
        """
        require_admin(by)
        now = self._clock()
        async with self._database.write() as session:
            await rows.save(session, name, value, by.telegram_id, now)
            await journal.note(session, by.telegram_id, name, details, now)
        await self.load()

    async def back_to_env(self, by: CurrentUser, name: str) -> None:
        """Delete the stored value.

        Raises:
            AdminsOnlyError: `by` is no administrator.
        """
        require_admin(by)
        async with self._database.write() as session:
            await rows.remove(session, name)
            await journal.note(session, by.telegram_id, name, {"back_to_env": True}, self._clock())
        await self.load()

    async def load(self) -> None:
        async with self._database.read() as session:
            values = await rows.load_all(session)
        if values != self._values:
            self._values = values
            for listener in self._listeners:
                listener()

    async def work(self) -> float | None:
        await self.load()
        return None if self._database.is_sqlite else RELOAD_SECONDS
