"""Control of the provider over HTTP, for other processes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.provider.faults import FAULTS, TRANSIENT
from sandbox.provider.plan import FaultPlan

if TYPE_CHECKING:
    from sandbox.provider.server import ProviderSandbox

Json = dict[str, Any]


def add_control_routes(app: web.Application, provider: ProviderSandbox) -> None:
    """POST /sandbox/faults and /sandbox/learn, GET /sandbox/requests and /sandbox/faults."""

    async def set_faults(request: web.Request) -> web.Response:
        try:
            _apply(provider, await request.json())
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"ok": False, "error": str(error)}, status=400)
        return web.json_response({"ok": True})

    async def learn(request: web.Request) -> web.Response:
        provider.learn(*(await request.json())["texts"])
        return web.json_response({"ok": True})

    async def requests(request: web.Request) -> web.Response:
        return web.json_response([dataclasses.asdict(record) for record in provider.requests])

    async def names(request: web.Request) -> web.Response:
        return web.json_response(list(FAULTS))

    app.router.add_post("/sandbox/faults", set_faults)
    app.router.add_get("/sandbox/faults", names)
    app.router.add_post("/sandbox/learn", learn)
    app.router.add_get("/sandbox/requests", requests)


def _apply(provider: ProviderSandbox, body: Json) -> None:
    if body.get("clear"):
        provider.clear()
    if "rate" in body:
        names = body.get("names") or TRANSIENT
        provider.faults = FaultPlan(float(body["rate"]), names, body.get("seed"))
    provider.queue(*body.get("queue", []))
    for plan in body.get("plans", []):
        provider.plan_for(plan["marker"], plan["name"], plan.get("times"))
    for marker in body.get("forget", []):
        provider.forget_plan(marker)
    for model, name in body.get("models", {}).items():
        provider.model_fault(model, name)
    for name in ("latency", "reset_after", "slow_seconds", "hang_seconds"):
        if name in body:
            setattr(provider, name, float(body[name]))
    provider.obedience.reads = bool(body.get("obeys", provider.obedience.reads))
    provider.is_away = bool(body.get("away", provider.is_away))
    if "hold" in body:
        (provider.hold if body["hold"] else provider.release)()
