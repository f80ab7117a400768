"""The preview over HTTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.preview.channel import PreviewChannel
from sandbox.preview.control import add_control_routes
from sandbox.preview.faults import FAULTS, PlannedFault
from sandbox.preview.markup import channel_page, info_page
from sandbox.servers import serve

PAGE_SIZE = 20


@dataclass
class PreviewRequest:
    """A request for a page and the status of its answer; `at` is in monotonic seconds."""

    at: float
    path: str
    channel: str
    before: int | None
    headers: dict[str, str] = field(repr=False)
    status: int = 0


class PreviewSandbox:
    """Public channels and their preview; serve `make_app()`, or use `serve_preview`."""

    def __init__(self, page_size: int = PAGE_SIZE) -> None:
        self.url = ""
        self.requests: list[PreviewRequest] = []
        self.page_size = page_size
        self.ignores_before = False
        self._channels: dict[str, PreviewChannel] = {}
        self._moved: dict[str, str] = {}
        self._faults: list[PlannedFault] = []

    def channel(self, name: str, title: str | None = None) -> PreviewChannel:
        """The channel with this name; created if there is none."""
        found = self._channels.get(name.lower())
        if found is None:
            found = self._channels[name.lower()] = PreviewChannel(name, title or name)
        elif title is not None:
            found.title = title
        return found

    @property
    def channels(self) -> list[PreviewChannel]:
        """All channels."""
        return list(self._channels.values())

    def rename(self, old: str, new: str, *, redirect: bool = True) -> None:
        """Rename a channel; `redirect`: the old name redirects to the new one."""
        channel = self._channels.pop(old.lower())
        channel.name = new
        self._channels[new.lower()] = channel
        if redirect:
            self._moved[old.lower()] = new

    def remove(self, name: str) -> None:
        """Delete a channel."""
        del self._channels[name.lower()]

    def fail_next(self, kind: str, times: int = 1, *, channel: str | None = None, **headers: str) -> None:
        """Answer the next requests with a fault of `faults.FAULTS`; `Retry_After="5"` sets that header."""
        if kind not in FAULTS:
            raise ValueError(f"no such fault: {kind}")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._faults.append(PlannedFault(kind, times, None if channel is None else channel.lower(), named))

    def heal(self) -> None:
        """Drop the remaining faults."""
        self._faults.clear()

    def make_app(self) -> web.Application:
        """/s/NAME, /NAME, and the control under /sandbox/."""
        app = web.Application()
        add_control_routes(app, self)
        app.router.add_get("/s/{name}", self._preview)
        app.router.add_get("/{name}", self._info)
        return app

    async def _info(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        record = self._record(request, name, None)
        record.status = 200
        return _html(info_page(name, self._channels.get(name.lower())))

    async def _preview(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        before = request.query.get("before", "")
        record = self._record(request, name, int(before) if before.isdigit() else None)
        response = await self._answer(request, record)
        record.status = response.status
        return response

    async def _answer(self, request: web.Request, record: PreviewRequest) -> web.StreamResponse:
        channel = self._channels.get(record.channel.lower())
        html = "" if channel is None else self._page(channel, record.before)
        fault = next((fault for fault in self._faults if fault.concerns(record.channel.lower())), None)
        if fault is not None:
            fault.times -= 1
            return await FAULTS[fault.kind](request, html, fault.headers or {})
        moved = self._moved.get(record.channel.lower())
        if channel is None and moved is not None:
            return web.Response(status=302, headers={"Location": f"/s/{moved}"})
        if channel is None or not channel.has_preview:
            return web.Response(status=302, headers={"Location": f"/{record.channel}"})
        return _fresh(request, html)

    def _page(self, channel: PreviewChannel, before: int | None) -> str:
        shown = channel.page(None if self.ignores_before else before, self.page_size)
        is_first = not shown or shown[0].number == min(channel.messages)
        return channel_page(channel, shown, None if is_first else shown[0].number)

    def _record(self, request: web.Request, name: str, before: int | None) -> PreviewRequest:
        record = PreviewRequest(time.monotonic(), request.path_qs, name, before, dict(request.headers))
        self.requests.append(record)
        return record


def _fresh(request: web.Request, html: str) -> web.Response:
    """The page, or 304 if the ETag matches."""
    tag = f'"{hashlib.sha256(html.encode()).hexdigest()[:16]}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag})
    response = _html(html)
    response.headers["ETag"] = tag
    return response


def _html(html: str) -> web.Response:
    return web.Response(text=html, content_type="text/html")


@asynccontextmanager
async def serve_preview(port: int = 0, page_size: int = PAGE_SIZE) -> AsyncIterator[PreviewSandbox]:
    """Serve the preview on loopback while the block runs, at `.url`."""
    sandbox = PreviewSandbox(page_size)
    async with serve(sandbox.make_app(), port) as sandbox.url:
        yield sandbox
