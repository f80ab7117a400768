"""Broken or hostile HTTP, byte by byte: name → answer."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import zlib
from collections.abc import Callable, Iterable

from aiohttp import web

from sandbox.provider.exchange import Exchange, Fault, dumped

STAYS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
OK = STAYS + b"Connection: close\r\n"
GIGABYTE = 2**30
PIECE = 64 * 1024
DRIP_SECONDS = 0.01
LATE_SECONDS = 0.1

Bytes = Callable[[Exchange], bytes]


def _answer_of(ex: Exchange) -> bytes:
    return dumped(ex.completion(ex.content()))


def _whole(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _bytes(make: Bytes) -> Fault:
    """These bytes, then the connection is closed."""

    async def fault(ex: Exchange) -> web.StreamResponse:
        if ex.request.transport is not None:
            ex.request.transport.write(make(ex))
            ex.request.transport.close()
        return web.Response()

    return fault


def _held(make: Bytes) -> Fault:
    """These bytes, and the connection stays open."""

    async def fault(ex: Exchange) -> web.StreamResponse:
        if ex.request.transport is not None:
            ex.request.transport.write(make(ex))
        await asyncio.sleep(ex.hang_seconds)
        return web.Response()

    return fault


def _endless(head: bytes, pieces: Callable[[], Iterable[bytes]], pause: float = 0.0) -> Fault:
    """`head`, then endless pieces as fast as they are read, or one each `pause`; the bytes sent are counted."""

    async def fault(ex: Exchange) -> web.StreamResponse:
        for piece in itertools.chain([head], pieces()):
            transport = ex.request.transport
            if transport is None or transport.is_closing():
                break
            transport.write(piece)
            await ex.request.writer.drain()
            ex.count(len(piece))
            await asyncio.sleep(pause)
        return web.Response()

    return fault


def _status(status: int) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return web.Response(status=status, reason="As It Is")

    return fault


def _redirect(status: int, *, to_itself: bool = False) -> Fault:
    async def fault(ex: Exchange) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": str(ex.request.url) if to_itself else ex.redirect_to})

    return fault


def _claiming(encoding: bytes) -> Fault:
    """The correct answer under a Content-Encoding that is not true."""
    head = OK + b"Content-Encoding: " + encoding + b"\r\n"
    return _bytes(lambda ex: head + _whole(_answer_of(ex))[len(OK) :])


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _bomb(encoding: bytes, window: int) -> Fault:
    """256 MB compressed to about 256 KB."""
    head = OK + b"Content-Encoding: " + encoding + b"\r\nTransfer-Encoding: chunked\r\n\r\n"

    def pieces() -> Iterable[bytes]:
        packer = zlib.compressobj(9, zlib.DEFLATED, window)
        yield _chunk(packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH))
        # After a full flush an equal megabyte compresses to equal bytes.
        again = _chunk(packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH))
        yield from itertools.repeat(again, 255)

    return _endless(head, pieces)


def _empty_deflate_blocks() -> Iterable[bytes]:
    yield _chunk(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")
    yield from itertools.repeat(_chunk(b"\x00\x00\x00\xff\xff" * 2000))


def _packed(ex: Exchange) -> bytes:
    body = gzip.compress(_answer_of(ex))
    return OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def _late_answer(ex: Exchange) -> web.StreamResponse:
    """The correct answer, and later a second one without a request."""
    transport = ex.request.transport
    if transport is not None:
        transport.write(_whole(_answer_of(ex), STAYS))
        await asyncio.sleep(LATE_SECONDS)
        transport.write(_decoy(ex))
        ex.count(1)
    await asyncio.sleep(ex.hang_seconds)
    return web.Response()


def _decoy(ex: Exchange) -> bytes:
    return _whole(dumped(ex.completion('{"tags": ["decoy", "wrong"]}')))


def _two_answers(ex: Exchange) -> bytes:
    """The correct answer followed at once by a second one with other tags."""
    return _whole(_answer_of(ex), STAYS) + _decoy(ex)


HOSTILE_WIRE: dict[str, Fault] = {
    # Endless answers.
    "endless_body": _endless(
        OK + b"Content-Length: %d\r\n\r\n" % GIGABYTE, lambda: itertools.repeat(b"[" * PIECE, GIGABYTE // PIECE)
    ),
    "endless_chunks": _endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", lambda: itertools.repeat(_chunk(b"[" * PIECE))
    ),
    "endless_to_eof": _endless(OK + b"\r\n", lambda: itertools.repeat(b" " * PIECE)),
    "endless_headers": _endless(OK, lambda: (b"X-%d: y\r\n" % n for n in itertools.count())),
    "endless_header": _endless(OK + b"X-Long: ", lambda: itertools.repeat(b"y" * PIECE)),
    "endless_reason": _endless(b"HTTP/1.1 200 ", lambda: itertools.repeat(b"O" * PIECE)),
    "endless_extension": _endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;x=", lambda: itertools.repeat(b"y" * PIECE), DRIP_SECONDS
    ),
    "endless_trailers": _endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        lambda: (b"X-%d: y\r\n" % n for n in itertools.count()),
    ),
    "gzip_bomb": _bomb(b"gzip", 31),
    "deflate_bomb": _bomb(b"deflate", 15),
    # Slow answers.
    "drip_body": _endless(OK + b"Content-Length: 100000\r\n\r\n", lambda: itertools.repeat(b" "), DRIP_SECONDS),
    "drip_headers": _endless(OK + b"X-Slow: ", lambda: itertools.repeat(b"y"), DRIP_SECONDS),
    "drip_100": _endless(b"", lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), DRIP_SECONDS),
    "gzip_of_nothing": _endless(
        OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", _empty_deflate_blocks, DRIP_SECONDS
    ),
    "no_end_of_headers": _held(lambda ex: OK),
    "length_larger": _held(lambda ex: OK + b"Content-Length: 99999\r\n\r\n" + _answer_of(ex)),
    # Invalid HTTP.
    "not_http": _bytes(lambda ex: b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff\xfe\r\n\r\n"),
    "nothing": _bytes(lambda ex: b""),
    "huge_header": _bytes(lambda ex: OK + b"X-Long: " + b"y" * 100_000 + b"\r\n\r\n{}"),
    "length_larger_and_end": _bytes(lambda ex: OK + b"Content-Length: 99999\r\n\r\n" + _answer_of(ex)),
    "length_smaller": _held(lambda ex: OK + b"Content-Length: 20\r\n\r\n" + _answer_of(ex)),
    "length_twice": _bytes(lambda ex: OK + b"Content-Length: 5\r\n" + _whole(_answer_of(ex))[len(OK) :]),
    "length_rubbish": _bytes(lambda ex: OK + b"Content-Length: -1e9\r\n\r\n" + _answer_of(ex)),
    "chunk_cut": _bytes(lambda ex: OK + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + _answer_of(ex)),
    "chunk_rubbish": _bytes(
        lambda ex: OK + b"Transfer-Encoding: chunked\r\n\r\n" + _chunk(_answer_of(ex)) + b"zz\r\n{}"
    ),
    "two_answers": _held(_two_answers),
    "late_answer": _late_answer,
    # Encodings that were not requested.
    "gzip": _bytes(_packed),
    "gzip_rubbish": _claiming(b"gzip"),
    "gzip_cut": _bytes(lambda ex: _packed(ex)[:-20]),
    "brotli_rubbish": _claiming(b"br"),
    "no_such_encoding": _claiming(b"rot13"),
    # Statuses that providers do not use.
    "status_100_first": _bytes(lambda ex: b"HTTP/1.1 100 Continue\r\n\r\n" + _whole(_answer_of(ex))),
    "status_101": _held(lambda ex: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "status_204": _status(204),
    "status_304": _status(304),
    "status_418": _status(418),
    "status_599": _status(599),
    "status_999": _bytes(lambda ex: b"HTTP/1.1 999 Odd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    **{f"redirect_{status}": _redirect(status) for status in (301, 302, 303, 307, 308)},
    "redirect_to_itself": _redirect(308, to_itself=True),
}
