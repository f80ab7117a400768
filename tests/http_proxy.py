"""A proxy on loopback for HTTP (CONNECT, and whole addresses) and SOCKS5, which notes where it was sent."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class HttpProxy:
    """`hosts` are names that only the proxy can resolve. With `user` it wants that name and password "word"."""

    def __init__(self, hosts: dict[str, tuple[str, int]], user: str | None = None) -> None:
        self.hosts = hosts
        self.user = user
        self.asked: list[str] = []
        self.news = asyncio.Condition()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            first = await reader.readexactly(1)
            await (self._socks if first == b"\x05" else self._http)(first, reader, writer)
        writer.close()

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        await self._note(f"{method} {target}")
        word = base64.b64encode(f"{self.user}:word".encode()).decode()
        if self.user and f"Basic {word}" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        elif method == "CONNECT":
            host, _, port = target.partition(":")
            await self._pass(host, int(port), b"", b"HTTP/1.1 200 OK\r\n\r\n", reader, writer)
        else:
            parts = urlsplit(target)
            own = target[len(f"{parts.scheme}://{parts.netloc}") :]
            request = head.replace(target, own, 1).encode()
            await self._pass(str(parts.hostname), parts.port or 80, request, b"", reader, writer)

    async def _socks(self, _: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\x05" + (b"\x02" if self.user else b"\x00"))
        if self.user:
            assert 2 in methods
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            word = await reader.readexactly((await reader.readexactly(1))[0])
            is_right = (user.decode(), word) == (self.user, b"word")
            writer.write(b"\x01" + (b"\x00" if is_right else b"\x01"))
            if not is_right:
                await writer.drain()
                return
        assert (await reader.readexactly(4))[3] == 3, "the name is the proxy's to resolve"
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        await self._note(f"SOCKS5 {host}:{port}")
        await self._pass(host, port, b"", b"\x05\x00\x00\x01" + bytes(6), reader, writer)

    async def _note(self, line: str) -> None:
        self.asked.append(line)
        async with self.news:
            self.news.notify_all()

    async def _pass(
        self,
        host: str,
        port: int,
        there: bytes,
        back: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.hosts.get(host, (host, port)))
        far_writer.write(there)
        writer.write(back)
        await asyncio.wait(
            [asyncio.ensure_future(_copy(reader, far_writer)), asyncio.ensure_future(_copy(far_reader, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def http_proxy(hosts: dict[str, str], user: str | None = None) -> AsyncIterator[HttpProxy]:
    """`hosts`: name → address (http://127.0.0.1:…) of the server that stands there."""
    places = {name: (str(urlsplit(url).hostname), urlsplit(url).port or 80) for name, url in hosts.items()}
    proxy = HttpProxy(places, user)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
