"""How the server starts and stops, and what it does with what is not HTTP."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from fastapi import FastAPI

from bot.runtime.logs import configure_logging
from bot.web.request_id import RequestId
from bot.web.server import serve

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#: Seconds; waited for what comes at once, or never.
LONG = 20


def make_app(began: asyncio.Event) -> RequestId:
    """GET / answers at once, GET /endless never."""
    app = FastAPI()

    async def root() -> str:
        return "here"

    async def endless() -> None:
        began.set()
        await asyncio.Event().wait()

    app.get("/")(root)
    app.get("/endless")(endless)
    return RequestId(app)


async def ask(port: int, sent: bytes) -> bytes:
    """Send bytes, and return all that is answered until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(LONG):
            return await reader.read()
    finally:
        writer.close()


async def test_a_request_that_outlasts_a_stop_is_told(caplog: pytest.LogCaptureFixture) -> None:
    began = asyncio.Event()
    async with serve(make_app(began), "127.0.0.1", 0, stop_seconds=0) as port:
        asked = asyncio.create_task(ask(port, GET.replace(b"/ ", b"/endless ", 1)))
        await asyncio.wait_for(began.wait(), LONG)
    answer = await asked
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"\r\nretry-after: 5\r\n" in answer
    assert b"\r\nx-request-id: " in answer
    assert answer.endswith(b'{"detail":"Metka is stopping: try again in a moment"}')
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


async def test_idle_connections_do_not_delay_a_stop() -> None:
    async with asyncio.timeout(LONG), serve(make_app(asyncio.Event()), "127.0.0.1", 0, stop_seconds=600) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await ask(port, GET)).startswith(b"HTTP/1.1 200")
    assert await reader.read() == b""
    writer.close()


async def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        async with serve(make_app(asyncio.Event()), "127.0.0.1", taken.getsockname()[1]):
            pytest.fail("the port is taken")


async def test_connections_above_the_limit_get_503() -> None:
    async with serve(make_app(asyncio.Event()), "127.0.0.1", 0, connections=2) as port:
        _, idle = await asyncio.open_connection("127.0.0.1", port)
        assert (await ask(port, GET)).startswith(b"HTTP/1.1 503")
        idle.close()
        async with asyncio.timeout(LONG):
            while not (await ask(port, GET)).startswith(b"HTTP/1.1 200"):
                pass


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000,
    ],
)
async def test_what_is_not_http_is_refused_and_writes_no_log(sent: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as_in_the_process():
        async with serve(make_app(asyncio.Event()), "127.0.0.1", 0) as port:
            capsys.readouterr()
            assert (await ask(port, sent)).startswith(b"HTTP/1.1 400")
            assert capsys.readouterr().err == ""
            logging.getLogger("uvicorn.error").error("worth a line")
    assert "worth a line" in capsys.readouterr().err


@contextmanager
def logging_as_in_the_process() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, ours = root.handlers[:], root.level, structlog.get_config()
    configure_logging("INFO", "json", [])
    # A logger that is cached would keep this level in every later test.
    structlog.configure(**{**structlog.get_config(), "cache_logger_on_first_use": False})
    try:
        yield
    finally:
        structlog.configure(**ours)
        root.handlers[:] = handlers
        root.setLevel(level)
