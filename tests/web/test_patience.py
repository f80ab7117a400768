"""How long the server waits for a client, and for how many of them."""

from __future__ import annotations

import asyncio

import pytest

from tests.web.wire import (
    GET,
    LARGE,
    LAST,
    LONG,
    PIECES,
    SHORT,
    answered,
    at_work,
    post,
    rest,
)


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
