"""The server on a socket, and a client that sends it whatever bytes it likes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from bot.web.envelope import Envelope
from bot.web.listener import listen
from bot.web.protocol import Limits
from bot.web.server import serve

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = GET[:-2] + b"Connection: close\r\n\r\n"
LARGE = GET.replace(b"/ ", b"/large ", 1)
#: Of 64 KiB each.
PIECES = 400
SHORT = 0.1
#: Waited for what comes at once, or never.
LONG = 20

Slow = Callable[[], Awaitable[None]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def made_app(slow: Slow) -> Envelope:
    """One route that looks at no body, one that reads it, one that is slow to, one with more than a socket holds."""
    app = FastAPI()

    async def at_once() -> str:
        return "here"

    async def length(request: Request) -> int:
        return len(await request.body())

    async def slowly(request: Request) -> int:
        await slow()
        return len(await request.body())

    async def in_pieces() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(PIECES):
                yield b"x" * 65536

        return StreamingResponse(pieces())

    async def large() -> PlainTextResponse:
        return PlainTextResponse("x" * 50_000_000)

    app.api_route("/", methods=["GET", "POST"])(at_once)
    app.post("/length")(length)
    app.post("/slow")(slowly)
    app.get("/large")(large)
    app.get("/pieces")(in_pieces)
    return Envelope(app)


class Client:
    """Connections to a server, all closed at the end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._opened: list[asyncio.StreamWriter] = []

    async def open(self, sent: bytes = b"") -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(writer)
        writer.write(sent)
        return reader, writer

    async def ask(self, sent: bytes) -> bytes:
        """What is answered until the server closes the connection."""
        reader, _ = await self.open(sent)
        return await rest(reader)

    def close(self) -> None:
        for writer in self._opened:
            writer.transport.abort()


@asynccontextmanager
async def at_work(slow: Slow | None = None, *, stop_seconds: int = 2, **limits: Any) -> AsyncIterator[Client]:
    app = made_app(slow or forever)
    async with serve(app, listen("127.0.0.1", 0), limits=Limits(**limits), stop_seconds=stop_seconds) as port:
        client = Client(port)
        try:
            yield client
        finally:
            client.close()


async def forever() -> None:
    await asyncio.Event().wait()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Until the end of the connection, whichever way it is ended."""
    found = b""
    async with asyncio.timeout(LONG):
        try:
            while piece := await reader.read(65536):
                found += piece
        except ConnectionError:
            pass
    return found


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    """One answer: its status, headers and JSON."""
    async with asyncio.timeout(LONG):
        status, headers = taken_apart(await reader.readuntil(b"\r\n\r\n"))
        return status, headers, json.loads(await reader.readexactly(int(headers["content-length"])))


def taken_apart(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("ascii").strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}


def post(path: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode() + body


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is in the log of errors, and every traceback."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR or each.exc_info]
