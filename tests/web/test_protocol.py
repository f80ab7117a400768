"""What a connection may do to the server, byte by byte."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from bot.logs import configure_logging
from bot.web.envelope import SECURITY, Envelope
from bot.web.listener import listen
from bot.web.protocol import NOT_UNDERSTOOD, Limits
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


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", post("/", body=b"GET /")])
async def test_without_a_whole_head_it_is_cut_off(sent: bytes) -> None:
    """Also on a connection that has had an answer."""
    async with at_work(head_seconds=SHORT) as client:
        found = await client.ask(sent)
        assert found.count(b"HTTP/1.1 200") == (1 if b"\r\n\r\n" in sent else 0)


async def test_the_next_head_has_to_come_as_well() -> None:
    async with at_work(head_seconds=SHORT) as client:
        reader, writer = await client.open(GET)
        assert (await answered(reader))[0] == 200
        writer.write(b"GET / HTTP/1.1\r\n")
        assert await rest(reader) == b""


async def test_time_for_one_thing_is_not_taken_from_another() -> None:
    async with at_work(body_seconds=SHORT) as client:
        reader, writer = await client.open()
        for _ in range(2):
            await asyncio.sleep(SHORT * 2)
            writer.write(GET)
            assert (await answered(reader))[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        post("/length", "Content-Length: 100", body=b"x"),
        post("/length", "Transfer-Encoding: chunked", body=b"5\r\nabcde\r\n"),
        # While an answer has long been given.
        post("/", "Content-Length: 100", body=b"x"),
        post("/nowhere", "Content-Length: 100"),
        # After another request, all in one piece.
        post("/") + post("/length", "Content-Length: 100", body=b"x"),
    ],
)
async def test_a_body_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    async with at_work(body_seconds=SHORT) as client:
        await client.ask(sent)


async def test_nor_one_that_drips() -> None:
    """Each byte of it would else win some time, also after the answer."""
    async with at_work(body_seconds=SHORT) as client:
        for path in ("/", "/length"):
            reader, writer = await client.open(post(path, "Content-Length: 1000000"))
            ended = asyncio.create_task(rest(reader))
            while not ended.done():
                writer.write(b"x")
                await asyncio.sleep(SHORT / 10)
            await ended


@pytest.mark.parametrize("length", [0, 5, 1_000_000])
async def test_what_takes_long_here_is_not_the_clients_fault(length: int) -> None:
    async def slow() -> None:
        await asyncio.sleep(SHORT * 5)

    async with at_work(slow, head_seconds=SHORT, body_seconds=SHORT) as client:
        reader, writer = await client.open(post("/slow", f"Content-Length: {length}", body=b"x" * length))
        await writer.drain()
        status, _, found = await answered(reader)
        assert (status, found) == (200, length)


async def test_who_does_not_take_an_answer_is_cut_off() -> None:
    """Seen by the only place being free again."""
    async with at_work(body_seconds=SHORT, head_seconds=SHORT, connections=1) as client:
        reader, _ = await client.open(LARGE)
        async with asyncio.timeout(LONG):
            await reader.readuntil(b"\r\n\r\n")
            while not await client.ask(LAST):
                pass
        assert len(await rest(reader)) < 50_000_000


async def test_who_takes_it_slowly_is_not() -> None:
    async with at_work(body_seconds=SHORT, head_seconds=SHORT) as client:
        reader, _ = await client.open(LAST.replace(b"/ ", b"/pieces ", 1))
        taken = 0
        async with asyncio.timeout(LONG):
            while piece := await reader.read(65536):
                taken += len(piece)
                await asyncio.sleep(SHORT / 50)
        assert taken > PIECES * 65536


async def test_more_connections_than_allowed_are_refused() -> None:
    """The others go on, and when one ends another is taken."""
    async with at_work(connections=3) as client:
        held = [await client.open(GET) for _ in range(3)]
        for reader, _ in held:
            assert (await answered(reader))[0] == 200
        assert [await client.ask(GET) for _ in range(5)] == [b""] * 5
        for reader, writer in held:
            writer.write(GET)
            assert (await answered(reader))[0] == 200
        held[0][1].close()
        async with asyncio.timeout(LONG):
            while not await client.ask(LAST):
                pass


async def test_each_server_counts_its_own() -> None:
    async with at_work(connections=1) as one, at_work(connections=1) as other:
        for client in (one, other):
            reader, _ = await client.open(GET)
            assert (await answered(reader))[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
        post("/", "Content-Length: -1"),
        post("/", "Content-Length: x"),
        post("/", "Content-Length: 1", "Content-Length: 2"),
        post("/", f"Content-Length: {'9' * 5000}"),
        post("/", "Transfer-Encoding: gzip"),
        post("/length", "Transfer-Encoding: chunked", body=b"nonsense\r\n"),
        b"HEAD /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"CONNECT x HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_as_json(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with at_work() as client:
        reader, _ = await client.open(sent)
        status, headers, found = await answered(reader)
        assert await rest(reader) == b""
        assert (status, found) == (400, {"detail": NOT_UNDERSTOOD})
        assert headers.items() >= {name.lower(): value for name, value in SECURITY.items()}.items()
        assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
        assert len(headers["x-request-id"]) == 32
    assert complaints(caplog) == []


async def test_nonsense_after_an_answer_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """When no second answer can be given, too."""
    async with at_work() as client:
        reader, writer = await client.open(post("/", "Transfer-Encoding: chunked"))
        assert (await answered(reader))[0] == 200
        writer.write(b"nonsense\r\n")
        assert await rest(reader) == b""
        reader, _ = await client.open(GET + b"nonsense\r\n\r\n")
        assert [(await answered(reader))[0] for _ in range(2)] == [200, 400]
        assert await rest(reader) == b""
    assert complaints(caplog) == []


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize(
    "head",
    [
        b"/ HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"/ HTTP/1.1\r\nHost: x\r\n" + b"X-More: x\r\n" * 2_000 + b"\r\n",
        b"/" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        # Whose end never comes.
        b"/ HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000,
    ],
)
async def test_a_head_that_is_too_long_is_refused(method: bytes, head: bytes) -> None:
    async with at_work() as client:
        reader, _ = await client.open(method + b" " + head)
        status, headers, found = await answered(reader)
        assert (status, headers["connection"]) == (431, "close")
        assert found == {"detail": "The head is longer than 16384 bytes"}
        assert await rest(reader) == b""


async def test_a_head_just_short_enough_is_taken() -> None:
    async with at_work() as client:
        reader, _ = await client.open(GET.replace(b"Host", b"X-Long: " + b"x" * 16_300 + b"\r\nHost"))
        assert (await answered(reader))[0] == 200


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
    handlers, level = root.handlers[:], root.level
    configure_logging("INFO", "json", [])
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
