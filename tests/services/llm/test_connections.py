"""A connection on which something came that nobody had asked for is not used again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.llm.connections import QuietConnector

SECONDS = 10


class Server:
    """Answers one request after the other, each when it is told to; what it sends is in the client's kernel at once."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self.taken: list[socket.socket] = []

    async def take(self) -> socket.socket:
        """A new connection."""
        connection, _ = await asyncio.get_running_loop().sock_accept(self._listening)
        self.taken.append(connection)
        return connection

    async def answer(self, connection: socket.socket, body: bytes) -> None:
        """Read a request, and answer it."""
        assert (await asyncio.get_running_loop().sock_recv(connection, 65536)).startswith(b"GET ")
        self.send(connection, body)

    def send(self, connection: socket.socket, body: bytes) -> None:
        """An answer, to whatever."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def close(self) -> None:
        for each in (*self.taken, self._listening):
            each.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    yield made
    made.close()


async def get(http: aiohttp.ClientSession, url: str) -> bytes:
    async with asyncio.timeout(SECONDS), http.get(url) as response:
        return await response.read()


async def test_a_quiet_connection_is_used_again(server: Server) -> None:
    async with aiohttp.ClientSession(connector=QuietConnector()) as http:
        asking = asyncio.create_task(get(http, server.url))
        connection = await server.take()
        await server.answer(connection, b"one")
        assert await asking == b"one"
        asking = asyncio.create_task(get(http, server.url))
        await server.answer(connection, b"two")
        assert await asking == b"two"


async def test_what_nobody_asked_for_answers_no_request(server: Server) -> None:
    """Though it came so late that the event loop has not seen it when the next request is about to leave."""
    async with aiohttp.ClientSession(connector=QuietConnector()) as http:
        asking = asyncio.create_task(get(http, server.url))
        connection = await server.take()
        await server.answer(connection, b"one")
        assert await asking == b"one"
        server.send(connection, b"of nobody")
        # In this task, at once: the event loop has no turn before the connector looks.
        answering = asyncio.create_task(answer_anew(server))
        assert await get(http, server.url) == b"two"
        await answering


async def answer_anew(server: Server) -> None:
    """The next request comes on a connection of its own."""
    await server.answer(await server.take(), b"two")
