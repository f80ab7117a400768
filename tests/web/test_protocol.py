"""What is no HTTP, and what is too much of it."""

from __future__ import annotations

import pytest

from bot.web.envelope import SECURITY
from bot.web.protocol import NOT_UNDERSTOOD
from tests.web.wire import (
    GET,
    answered,
    at_work,
    complaints,
    post,
    rest,
)


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
