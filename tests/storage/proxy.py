"""The network between a process and its database, which can be cut or go silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from storage.database import Database, parse_url


class Network:
    """Forwards bytes to the database's server."""

    def __init__(self, database: Database) -> None:
        self._server = (database.url.host or "127.0.0.1", database.url.port or 5432)
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.refuses = False

    def cut(self) -> None:
        """End every connection; new ones are refused until `mend`."""
        self.refuses = True
        for writer in self._writers:
            writer.transport.abort()

    def silence(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._open.clear()

    def mend(self) -> None:
        """As before."""
        self.refuses = False
        self._open.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection from the process."""
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._server)
        pair = {writer, far_writer}
        self._writers |= pair
        try:
            await asyncio.gather(self._forward(reader, far_writer), self._forward(far_reader, writer))
        finally:
            self._writers -= pair

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def behind_network(database: Database) -> AsyncIterator[tuple[Database, Network]]:
    """The same database over a network that can fail."""
    network = Network(database)
    server = await asyncio.start_server(network.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    far = Database(parse_url(database.url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)))
    try:
        yield far, network
    finally:
        network.mend()
        await far.close()
        network.cut()
        server.close()
        await network.close()
