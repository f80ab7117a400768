"""What the processes on one PostgreSQL database tell each other: that there is work, and who leads.

Each has one connection of its own for it, beside the pool. On it come the notifications (of the triggers on `posts`,
and whatever else is listened to), and it holds the advisory lock of the leader: PostgreSQL frees that lock when the
connection ends, so there is never a second leader while the first one's connection lives, and no lock outlives its
process.

What there is to tell people the leader tells: the others notify it (`tell_leader`). What nobody told it of, since the
process died before it could, the leader finds by what it asks to make sure of its connection (`Look`).

A leader whose connection ends goes on as long as it cannot know better, or nobody would tell people that the
database is away: until it is connected again and another process has the lock, or until somebody else is seen
to do its duties (`step_down`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import structlog
from sqlalchemy import NullPool, Select, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.db.engine import Database, is_unavailable

log = structlog.get_logger(__name__)

#: The channel of migration 0005's triggers.
WORK_CHANNEL = "metka_work"
#: There is something to tell people, says a process that does not lead.
NEWS_CHANNEL = "metka_news"
#: The leader's lock was given back.
VACANCY_CHANNEL = "metka_vacancy"
#: Any constant number, but not `migrate`'s. Both locks and notifications belong to one database of the server.
LEADER_LOCK = 0x4D45544B414C
#: How often a process that stands by asks for a dead leader's lock (one that stops says so), and how often the others
#: make sure of their connection.
ASK_SECONDS, BEAT_SECONDS = 2.0, 5.0
#: Whoever has news all the time says so no more often.
NEWS_PAUSE = 0.5
#: A query that takes longer means that the connection is gone: well before the server gives the lock away.
BEAT_TIMEOUT = 3.0
#: A new leader waits for so long when there was one before: it may need a moment to notice that it is none.
SETTLE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
#: Of the dedicated connection: a host that has vanished is given up by the server, with its lock, after 14 s.
SESSION = {
    "application_name": "metka coordination",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "14000",
}

#: What the leader does, as a context: entered on gaining the lead, left on losing it or at the end. It is given what
#: to call when another process is seen at the same work.
Duties = Callable[[Callable[[], None]], AbstractAsyncContextManager[None]]


#: Channel → what to call when something is notified on it, or may have been unheard.
Listeners = Mapping[str, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Look:
    """What the leader asks every BEAT_SECONDS; `found` is called when the answer is yes."""

    query: Callable[[], Select[tuple[bool]]]
    found: Callable[[], None]


class ConnectionLostError(ConnectionError):
    """The dedicated connection has ended."""


class Link:
    """The dedicated connection while it lives."""

    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        self._connection = connection
        self._driver = driver
        self._ended = asyncio.Event()
        self._asking: asyncio.Future[Any] | None = None

    @classmethod
    async def open(cls, engine: AsyncEngine, listeners: Listeners) -> Self:
        """Connect and begin to listen."""
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
        """Become the leader, unless another process is."""
        return bool(await self._ask(select(func.pg_try_advisory_lock(LEADER_LOCK))))

    async def give_lock_back(self) -> None:
        """Let another process lead, and say so."""
        await self._ask(select(func.pg_advisory_unlock(LEADER_LOCK), func.pg_notify(VACANCY_CHANNEL, "")))

    async def notify(self, channel: str) -> None:
        """Call every process's listeners of the channel."""
        await self._ask(select(func.pg_notify(channel, "")))

    async def beat(self, query: Select[tuple[bool]] | None = None) -> bool:
        """Make sure of the connection, by a query of use or none; returns what it found.

        Raises:
            OSError, DBAPIError: it is gone.
        """
        if self._ended.is_set():
            raise ConnectionLostError
        return bool(await self._ask(select(literal(False)) if query is None else query))

    async def wait(self, seconds: float, *events: asyncio.Event) -> None:
        """For so long, or until the connection ends or one of the events is set."""
        await _first_of(seconds, self._ended, *events)

    async def close(self) -> None:
        """End the connection, and with it what it holds; a dead one is waited for a few seconds."""
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
                # Its cancellation takes seconds, for which the leader must not wait: `close` does.
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
    """Listens for news, and leads when nobody else does. On SQLite the process is alone, and so the leader."""

    def __init__(
        self, database: Database, listeners: Listeners, *, duties: Duties | None = None, look: Look | None = None
    ) -> None:
        """
        Args:
            listeners: `WORK_CHANNEL` and others; on SQLite nobody else has news.
            duties: None: a process that never leads.
            look: what the leader looks for.
        """
        self._database = database
        self._listeners = listeners
        self._duties = duties
        self._look = look
        self._stopping = asyncio.Event()
        # There is something to tell the leader, or there may be none any more.
        self._called = asyncio.Event()
        self._has_news = False
        self._stood_by = False
        self._lost = False
        self.holds_lock = False
        self._rivalled = asyncio.Event()
        self._term = AsyncExitStack()
        self.is_leader = False

    def step_down(self) -> None:
        """Another process does the leader's work: without the lock, let it."""
        if not self.holds_lock:
            self._rivalled.set()

    def tell_leader(self) -> None:
        """There is something to tell people: call the leader's listener, in whatever process that is."""
        if self.is_leader:
            self._listeners[NEWS_CHANNEL]()
        else:
            self._has_news = True
            self._called.set()

    def stop(self) -> None:
        """Leave the duties, let go of the lock, and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`. A database that is away is tried again until it is back."""
        try:
            if self._database.is_sqlite:
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
                    # Before the lock is free for others.
                    await self._leave()
                    if self.holds_lock:
                        await link.give_lock_back()
                        self.holds_lock = False
            except Exception as error:
                self._detached(error)
                await self._rest(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    @asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        engine = create_async_engine(self._database.url, poolclass=NullPool)
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
        # What was notified meanwhile was not heard.
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
        """Take the lead when it is free, until the connection ends or `stop`."""
        while not self._stopping.is_set():
            self._called.clear()
            if self._duties is None:
                await self._follow(link)
                await link.wait(BEAT_SECONDS, self._stopping, self._called)
            elif await link.take_lock():
                await self._lead(link)
            else:
                await self._leave()
                self._stand_by()
                await self._follow(link)
                await link.wait(ASK_SECONDS, self._stopping, self._called)

    async def _follow(self, link: Link) -> None:
        """Tell the leader what there is to tell, and so make sure of the connection."""
        if self._has_news:
            # First: what comes while the word is on its way is told anew.
            self._has_news = False
            try:
                await link.notify(NEWS_CHANNEL)
            except BaseException:
                self._has_news = True
                raise
            await link.wait(NEWS_PAUSE, self._stopping)
        elif self._duties is None:
            await link.beat()

    def _stand_by(self) -> None:
        if not self._stood_by:
            log.info("standing_by")
        self._stood_by = True

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

    async def _rest(self, seconds: float) -> None:
        """A pause between tries to connect, cut short by the end, or by a rival."""
        await _first_of(seconds, self._stopping, self._rivalled)
        if self._rivalled.is_set():
            await self._leave()
            self._rivalled.clear()
