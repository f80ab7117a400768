"""The Bot API over HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from sandbox.telegram.actors import Actors
from sandbox.telegram.control import add_control_routes
from sandbox.telegram.errors import ApiError, OddAnswerError
from sandbox.telegram.methods import METHODS, unknown
from sandbox.telegram.params import decoded, integer, read_params
from sandbox.telegram.settings_methods import SETTINGS_METHODS

Json = dict[str, Any]


class TelegramSandbox(Actors):
    """A Bot API server for one bot. Serve `make_app()`, then act through the methods of Actors."""

    def make_app(self) -> web.Application:
        """The Bot API under /bot…, the control under /sandbox/, the chat page at /."""
        app = web.Application(client_max_size=60 * 2**20)
        app.router.add_route("*", "/bot{token}/{method}", self._bot_api)
        app.router.add_get("/file/bot{token}/files/{file_id}", self._file)
        app.router.add_get("/sandbox/pictures/{file_id}", self._picture)
        add_control_routes(app, self)
        app.cleanup_ctx.append(self._delivering)
        return app

    async def _delivering(self, app: web.Application) -> AsyncIterator[None]:
        delivery = asyncio.create_task(self.world.updates.deliver())
        yield
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)

    async def _bot_api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        params: Json = {}
        try:
            self._check_token(request.match_info["token"])
            params = await read_params(request)
            self.world.record_call(method, params)
            result = await self._called(method, params)
        except ApiError as error:
            self.world.record_error(method, params, error)
            if isinstance(error, OddAnswerError):
                return web.Response(text=error.text, status=error.code, content_type="text/html")
            return web.json_response(error.body(), status=error.code)
        return web.json_response({"ok": True, "result": result})

    async def _called(self, method: str, params: Json) -> Any:
        if (fault := self.world.fault_for(method, params)) is not None:
            raise fault
        if method.lower() == "getupdates":
            return await self._get_updates(params)
        names = {name.lower(): call for name, call in (METHODS | SETTINGS_METHODS).items()}
        return names.get(method.lower(), unknown)(self.world, params)

    async def _get_updates(self, params: Json) -> list[Json]:
        allowed = decoded(params, "allowed_updates")
        if allowed is not None:
            self.world.updates.allowed = list(allowed)
        return await self.world.updates.poll(
            integer(params, "offset", 0),
            max(1, min(100, integer(params, "limit", 100))),
            integer(params, "timeout", 0),
        )

    def _check_token(self, token: str) -> None:
        if not re.fullmatch(r"\d+:.+", token):
            raise ApiError(404, "Not Found")
        if token != self.token:
            raise ApiError(401, "Unauthorized")

    async def _picture(self, request: web.Request) -> web.Response:
        """For the chat page."""
        data = self.world.files.get(request.match_info["file_id"])
        if data is None:
            raise web.HTTPNotFound
        return web.Response(body=data, content_type="image/png")

    async def _file(self, request: web.Request) -> web.Response:
        file_id = request.match_info["file_id"]
        data = self.world.files.get(file_id)
        if request.match_info["token"] != self.token or data is None:
            raise web.HTTPNotFound
        if (fault := self.world.fault_for(f"download {file_id}", {})) is not None:
            return web.json_response(fault.body(), status=fault.code)
        return web.Response(body=data)
