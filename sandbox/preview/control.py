"""Control of the preview over HTTP, for other processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.preview.faults import FAULTS
from sandbox.preview.markup import KINDS

if TYPE_CHECKING:
    from sandbox.preview.server import PreviewSandbox

Json = dict[str, Any]
Action = Callable[["PreviewSandbox", Json], Json]


def _channel(preview: PreviewSandbox, body: Json) -> Json:
    channel = preview.channel(str(body["name"]), body.get("title"))
    channel.has_preview = bool(body.get("has_preview", channel.has_preview))
    return {"name": channel.name}


def _post(preview: PreviewSandbox, body: Json) -> Json:
    kind = str(body.get("kind", "text"))
    if kind not in KINDS:
        raise ValueError(f"no such kind: {kind}")
    details: Json = {name: body[name] for name in ("number", "views", "html") if name in body}
    if "posted_at" in body:
        details["posted_at"] = datetime.fromisoformat(str(body["posted_at"]))
    details |= {name: tuple(body[name]) for name in ("members", "options") if name in body}
    return {"message_id": preview.channel(str(body["name"])).post(str(body.get("text", "")), kind=kind, **details)}


def _edit(preview: PreviewSandbox, body: Json) -> Json:
    preview.channel(str(body["name"])).edit(int(body["message_id"]), str(body["text"]))
    return {}


def _delete(preview: PreviewSandbox, body: Json) -> Json:
    preview.channel(str(body["name"])).delete(int(body["message_id"]))
    return {}


def _rename(preview: PreviewSandbox, body: Json) -> Json:
    preview.rename(str(body["name"]), str(body["to"]), redirect=bool(body.get("redirect", True)))
    return {}


def _remove(preview: PreviewSandbox, body: Json) -> Json:
    preview.remove(str(body["name"]))
    return {}


def _fail(preview: PreviewSandbox, body: Json) -> Json:
    if body.get("clear"):
        preview.heal()
    if "kind" in body:
        headers = {str(name): str(value) for name, value in body.get("headers", {}).items()}
        preview.fail_next(str(body["kind"]), int(body.get("times", 1)), channel=body.get("name"), **headers)
    return {}


ACTIONS: dict[str, Action] = {
    "channel": _channel,
    "post": _post,
    "edit": _edit,
    "delete": _delete,
    "rename": _rename,
    "remove": _remove,
    "fail": _fail,
}


def add_control_routes(app: web.Application, preview: PreviewSandbox) -> None:
    """POST /sandbox/ACTION; GET /sandbox/requests, /sandbox/state and /sandbox/faults."""

    async def requests(request: web.Request) -> web.Response:
        return web.json_response([dataclasses.asdict(record) for record in preview.requests])

    async def state(request: web.Request) -> web.Response:
        shown = [
            {"name": channel.name, "title": channel.title, "messages": sorted(channel.messages)}
            for channel in preview.channels
        ]
        return web.json_response({"channels": shown})

    async def faults(request: web.Request) -> web.Response:
        return web.json_response(list(FAULTS))

    for name, action in ACTIONS.items():
        app.router.add_post(f"/sandbox/{name}", _posted(preview, action))
    app.router.add_get("/sandbox/requests", requests)
    app.router.add_get("/sandbox/state", state)
    app.router.add_get("/sandbox/faults", faults)


def _posted(preview: PreviewSandbox, action: Action) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response({"ok": True, **action(preview, await request.json())})
        except (LookupError, ValueError, TypeError) as error:
            return web.json_response({"ok": False, "error": f"{type(error).__name__}: {error}"}, status=400)

    return handle
