"""How the server starts and stops, and what of it is in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
import uvicorn

from bot.runtime.logs import configure_logging
from bot.web.listener import listen
from bot.web.server import serve
from tests.web.wire import (
    GET,
    LARGE,
    LONG,
    Client,
    answered,
    at_work,
    complaints,
    forever,
    made_app,
    post,
    rest,
)


async def test_who_is_still_waiting_at_a_stop_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """And it is no traceback. Other connections end without a word, whatever they were doing."""
    began = asyncio.Event()

    async def slow() -> None:
        began.set()
        await forever()

    readers = []
    app = made_app(slow)
    async with serve(app, listen("127.0.0.1", 0), stop_seconds=0) as port:
        client = Client(port)
        reader, _ = await client.open(post("/slow"))
        await asyncio.wait_for(began.wait(), LONG)
        for sent in (b"", b"GET", LARGE):
            readers.append((await client.open(sent))[0])
        async with asyncio.timeout(LONG):
            await readers[-1].readuntil(b"\r\n\r\n")
    status, headers, found = await answered(reader)
    assert (status, found) == (503, {"detail": "Metka is stopping: try again in a moment"})
    assert headers["retry-after"].isdecimal()
    assert "x-request-id" in headers
    for each in (reader, *readers):
        await rest(each)
    client.close()
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []
    assert len(complaints(caplog)) == 1  # uvicorn's word that it cancels


async def test_a_refusal_not_yet_taken_does_not_hinder_the_stop(caplog: pytest.LogCaptureFixture) -> None:
    """Its connection is ending, in a state in which h11 has nothing to say."""
    too_long = b"POST / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"
    async with serve(made_app(forever), listen("127.0.0.1", 0), stop_seconds=0) as port:
        client = Client(port)
        reader, writer = await client.open(LARGE)
        async with asyncio.timeout(LONG):
            await reader.readuntil(b"\r\n\r\n")
        writer.write(too_long)
        assert (await answered((await client.open(GET))[0]))[0] == 200
    client.close()
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []


async def test_what_a_bug_cancels_is_no_stop() -> None:
    async def slow() -> None:
        raise asyncio.CancelledError

    async with at_work(slow) as client:
        assert (await client.ask(post("/slow", "Connection: close"))).startswith(b"HTTP/1.1 500")


async def test_strangers_write_no_lines_into_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by nonsense nor by asking for a WebSocket."""
    with logging_as_in_the_process():
        async with at_work() as client:
            await client.ask(b"nonsense\r\n\r\n")
            reader, _ = await client.open(
                GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            )
            assert (await answered(reader))[0] == 200
            capsys.readouterr()
            logging.getLogger("uvicorn.error").error("worth a line")
        written = capsys.readouterr().err
    assert "worth a line" in written
    assert len(written.splitlines()) == 1


async def test_a_server_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_self: uvicorn.Server, sockets: Any = None) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(uvicorn.Server, "startup", fails)
    async with asyncio.timeout(LONG):
        with pytest.raises(OSError, match="Too many open files"):
            async with serve(made_app(forever), listen("127.0.0.1", 0)):
                pytest.fail("there is no server")


async def test_nor_is_one_that_ends_as_it_starts_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(_self: uvicorn.Server, sockets: Any = None) -> None:
        pass

    monkeypatch.setattr(uvicorn.Server, "serve", ends)
    async with asyncio.timeout(LONG):
        with pytest.raises(RuntimeError, match="ended"):
            async with serve(made_app(forever), listen("127.0.0.1", 0)):
                pytest.fail("there is no server")


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
