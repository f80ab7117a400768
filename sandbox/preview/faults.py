"""Faulty answers by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

MEGABYTE = 2**20


@dataclass
class PlannedFault:
    """A fault for the next `times` requests, only for `channel` if it is set.

    Attributes:
        headers: headers of the answer, e.g. Retry-After.
    """

    kind: str
    times: int = 1
    channel: str | None = None
    headers: dict[str, str] | None = None

    def concerns(self, channel: str) -> bool:
        """Whether a request for this channel gets the fault."""
        return self.times > 0 and self.channel in (None, channel)


Answer = Callable[[web.Request, str, dict[str, str]], Awaitable[web.StreamResponse]]


def _status(status: int) -> Answer:
    async def answer(request: web.Request, html: str, headers: dict[str, str]) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, text="<html><h1>Something is wrong</h1></html>")

    return answer


def _page(change: Callable[[str], Any]) -> Answer:
    """The page after `change`."""

    async def answer(request: web.Request, html: str, headers: dict[str, str]) -> web.StreamResponse:
        changed = change(html)
        body = changed.encode() if isinstance(changed, str) else changed
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)

    return answer


async def _hang(request: web.Request, html: str, headers: dict[str, str]) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


def _raw(head: bytes) -> Answer:
    """These bytes and half of the page, then the connection is closed."""

    async def answer(request: web.Request, html: str, headers: dict[str, str]) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.write(head + html.encode()[: len(html) // 2])
            request.transport.close()
        return web.Response()

    return answer


async def _loop(request: web.Request, html: str, headers: dict[str, str]) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": str(request.rel_url)})


def _redirect(location: str) -> Answer:
    async def answer(request: web.Request, html: str, headers: dict[str, str]) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location} if location else {})

    return answer


FAULTS: dict[str, Answer] = {
    "429": _status(429),
    "403": _status(403),
    "404": _status(404),
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "204": _status(204),
    "304": _status(304),
    "hang": _hang,
    "drop": _raw(b""),
    "truncated": _raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99999999\r\n\r\n"),
    "not_http": _raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "not_gzip": _raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"),
    "not_utf8": _page(lambda html: html.encode("utf-16")),
    "garbage": _page(lambda html: bytes(range(128)) * 64),
    "empty": _page(lambda html: ""),
    "changed": _page(lambda html: html.replace("tgme_widget_message_text js-message_text", "tgme_post_body")),
    "renamed_classes": _page(lambda html: html.replace("tgme_widget_message", "tgme_post")),
    "no_numbers": _page(lambda html: html.replace("data-post=", "data-id=")),
    "no_times": _page(lambda html: html.replace("datetime=", "data-when=")),
    "oversized": _page(lambda html: html + " " * 6 * MEGABYTE),
    "loop": _loop,
    "elsewhere": _redirect("http://elsewhere.invalid/s/durov"),
    "nowhere": _redirect(""),
    "bad_location": _redirect("http://[half"),
}
