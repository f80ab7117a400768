"""Coordination of the processes on one PostgreSQL database: LISTEN/NOTIFY, and the leader's lock.

Each process has a dedicated connection for both. PostgreSQL frees the lock when the connection ends: there is never a
second leader while the first one's connection lives.

The leader sends people their messages; other processes notify it of new ones (`tell_leader`). The leader's regular
query (`Look`) finds messages of a process that died before its notification.

A leader that loses its connection keeps leading, to tell people of the outage, until it has reconnected and another
process holds the lock, or until another process is seen at the leader's work (`step_down`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import structlog
from sqlalchemy import NullPool, Select, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.db.engine import Database, is_unavailable, make_postgresql_engine

log = structlog.get_logger(__name__)

#: Notified by the triggers of migration 0005.
WORK_CHANNEL = "metka_work"
#: A process that does not lead has messages for people.
NEWS_CHANNEL = "metka_news"
#: The leader's lock was given back.
VACANCY_CHANNEL = "metka_vacancy"
#: Any constant but `migrate`'s and `model_states`'; locks belong to one database.
LEADER_LOCK = 0x4D45544B414C
#: How often a standby process tries to take the lock, and how often the others check their connection.
ASK_SECONDS, BEAT_SECONDS = 2.0, 5.0
#: The shortest time between two notifications of news by one process.
NEWS_PAUSE = 0.5
#: After this the connection counts as gone; shorter than the server takes to free the lock.
BEAT_TIMEOUT = 3.0
#: A new leader waits so long for the former one to notice.
SETTLE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
#: With these the server gives up a vanished host, and its lock, after 14 s.
SESSION = {
    "application_name": "metka coordination",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "14000",
}

#: The leader's work, as a context. It calls its argument if another process is seen at the same work.
Duties = Callable[[Callable[[], None]], AbstractAsyncContextManager[None]]

#: Channel → callback on a notification, and after a reconnect.
Listeners = Mapping[str, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Look:
    """A regular query of the leader, every BEAT_SECONDS; `found` is called if it returns true."""

    query: Callable[[], Select[tuple[bool]]]
    found: Callable[[], None]


class ConnectionLostError(ConnectionError):
    """The dedicated connection has ended."""


class Link:
    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        self._connection = connection
        self._driver = driver
        self._ended = asyncio.Event()
        self._asking: asyncio.Future[Any] | None = None

    @classmethod
    async def open(cls, engine: AsyncEngine, listeners: Listeners) -> Self:
        connection = await engine.connect()
        link = cls(connection, (await connection.get_raw_connection()).driver_connection)
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await link._listen(listeners)
        except BaseException:
            await link.close()
            raise
        return link

    async def _listen(self, listeners: Listeners) -> None:
        self._driver.add_termination_listener(lambda _: self._ended.set())
        for name, value in SESSION.items():
            await self._ask(select(func.set_config(name, value, False)))
        for channel, listener in listeners.items():
            await self._driver.add_listener(channel, lambda *_, call=listener: call())

    async def take_lock(self) -> bool:
        return bool(await self._ask(select(func.pg_try_advisory_lock(LEADER_LOCK))))

    async def give_lock_back(self) -> None:
        await self._ask(select(func.pg_advisory_unlock(LEADER_LOCK), func.pg_notify(VACANCY_CHANNEL, "")))

    async def notify(self, channel: str) -> None:
        await self._ask(select(func.pg_notify(channel, "")))

    async def beat(self, query: Select[tuple[bool]] | None = None) -> bool:
        """Check the connection by a query; OSError or DBAPIError if it is gone."""
        if self._ended.is_set():
            raise ConnectionLostError
        return bool(await self._ask(select(literal(False)) if query is None else query))

    async def wait(self, seconds: float, *events: asyncio.Event) -> None:
        await _first_of(seconds, self._ended, *events)

    async def close(self) -> None:
        """End the connection, which frees its lock; wait up to LONGEST_PAUSE for a query under way."""
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=LONGEST_PAUSE)
        if not self._connection.invalidated:
            await self._connection.invalidate()
        await self._connection.close()

    async def _ask(self, query: Any) -> Any:
        asking = self._asking = asyncio.ensure_future(self._connection.scalar(query))
        try:
            await asyncio.wait({asking}, timeout=BEAT_TIMEOUT)
            if not asking.done():
                # Cancelling takes seconds: `close` waits for that, not the leader.
                raise ConnectionLostError
            return asking.result()
        finally:
            asking.cancel()


async def _first_of(seconds: float, *events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Coordination:
    """Listens, and leads if no other process does.

    On SQLite, and behind a pooler of transactions, the only process leads.
    """

    def __init__(
        self, database: Database, listeners: Listeners, *, duties: Duties | None = None, look: Look | None = None
    ) -> None:
        """`duties`: None in a process that never leads; `listeners`: not used where it is alone."""
        self._database = database
        self._listeners = listeners
        self._duties = duties
        self._look = look
        self._stopping = asyncio.Event()
        # Set by news, and when the lock may be free.
        self._called = asyncio.Event()
        self._has_news = False
        self._stood_by = False
        self._lost = False
        self.holds_lock = False
        self._rivalled = asyncio.Event()
        self._term = AsyncExitStack()
        self.is_leader = False

    def step_down(self) -> None:
        """Stop leading if the lock is lost: another process does the leader's work."""
        if not self.holds_lock:
            self._rivalled.set()

    def tell_leader(self) -> None:
        """Call the leader's NEWS_CHANNEL listener, in this or another process."""
        if self.is_leader:
            self._listeners[NEWS_CHANNEL]()
        else:
            self._has_news = True
            self._called.set()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Run until `stop`; reconnect while the database is unavailable."""
        try:
            if self._database.is_sqlite or self._database.is_behind_pooler:
                await self._alone()
            else:
                await self._with_others()
        finally:
            await self._leave()

    async def _alone(self) -> None:
        self.holds_lock = True
        await self._enter()
        while not self._stopping.is_set():
            await self._look_alone()
            await _first_of(BEAT_SECONDS, self._stopping)

    async def _look_alone(self) -> None:
        if self._look is None:
            return
        try:
            async with self._database.read() as session:
                found = await session.scalar(self._look.query())
        except Exception as error:
            if not is_unavailable(error):
                log.exception("look_failed")
            return
        if found:
            self._look.found()

    async def _with_others(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                async with self._link() as link:
                    self._attached()
                    pause = FIRST_PAUSE
                    await self._compete(link)
                    # Before another process can take the lock.
                    await self._leave()
                    if self.holds_lock:
                        await link.give_lock_back()
                        self.holds_lock = False
            except Exception as error:
                self._detached(error)
                await _first_of(pause, self._stopping, self._rivalled)
                if self._rivalled.is_set():
                    await self._leave()
                    self._rivalled.clear()
                pause = min(LONGEST_PAUSE, pause * 2)

    @asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        engine = make_postgresql_engine(self._database.url, {}, poolclass=NullPool)
        async with asyncio.timeout(LONGEST_PAUSE):
            link = await Link.open(engine, {**self._listeners, VACANCY_CHANNEL: self._called.set})
        try:
            yield link
        finally:
            await link.close()

    def _attached(self) -> None:
        if self._lost:
            log.info("coordination_back")
        self._lost = False
        # Notifications were missed meanwhile.
        for listener in self._listeners.values():
            listener()

    def _detached(self, error: Exception) -> None:
        if not is_unavailable(error):
            log.exception("coordination_failed")
        elif not self._lost:
            log.warning("coordination_lost", error=type(error).__name__)
        self._lost = True
        self.holds_lock = False

    async def _compete(self, link: Link) -> None:
        while not self._stopping.is_set():
            self._called.clear()
            if self._duties is None:
                await self._follow(link)
                await link.wait(BEAT_SECONDS, self._stopping, self._called)
            elif await link.take_lock():
                await self._lead(link)
            else:
                await self._leave()
                if not self._stood_by:
                    log.info("standing_by")
                self._stood_by = True
                await self._follow(link)
                await link.wait(ASK_SECONDS, self._stopping, self._called)

    async def _follow(self, link: Link) -> None:
        if self._has_news:
            # Before the notification: news may come meanwhile.
            self._has_news = False
            try:
                await link.notify(NEWS_CHANNEL)
            except BaseException:
                self._has_news = True
                raise
            await link.wait(NEWS_PAUSE, self._stopping)
        elif self._duties is None:
            await link.beat()

    async def _lead(self, link: Link) -> None:
        self.holds_lock = True
        self._rivalled.clear()
        if self._stood_by:
            await link.wait(SETTLE_SECONDS, self._stopping)
            await link.beat()
        self._stood_by = False
        await self._enter()
        while not self._stopping.is_set():
            if self._look is None:
                await link.beat()
            elif await link.beat(self._look.query()):
                self._look.found()
            await link.wait(BEAT_SECONDS, self._stopping)

    async def _enter(self) -> None:
        if self.is_leader or self._duties is None:
            return
        await self._term.enter_async_context(self._duties(self.step_down))
        self.is_leader = True
        log.info("leading")

    async def _leave(self) -> None:
        if not self.is_leader:
            return
        self.is_leader = False
        await self._term.aclose()
        log.info("not_leading")
