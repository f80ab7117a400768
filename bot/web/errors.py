"""Whatever goes wrong is answered as JSON with a `detail`, never with a traceback or a value of a request."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from services.library.api_queries import UnknownUserError
from storage.db.engine import is_unavailable

log = structlog.get_logger(__name__)

#: That any operation has.
METHODS = ("GET", "POST")
AWAY = "The database does not answer: try again in a moment"


def add_error_handlers(app: FastAPI) -> None:
    """One for each kind."""
    app.add_exception_handler(HTTPException, _refused)  # type: ignore[arg-type]
    app.add_exception_handler(UnknownUserError, _unknown)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _not_understood)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, _gone)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _failed)


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
    return JSONResponse({"detail": error.detail}, error.status_code, headers)


def _allowed(request: Request) -> list[str]:
    """What a path can be asked, of all its operations: the framework names the first one's."""
    routes = request.app.router.routes
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    return [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]


async def _unknown(_request: Request, error: UnknownUserError) -> JSONResponse:
    return JSONResponse({"detail": f"{error}: GET /users lists them"}, 404)


async def _gone(_request: Request, _error: ClientDisconnect) -> None:
    """Before the whole body was there: the client hung up, or took longer than it may. Nobody waits for an answer."""
    log.debug("http_broken_off")


async def _not_understood(_request: Request, error: RequestValidationError) -> JSONResponse:
    return JSONResponse({"detail": [_shown(each) for each in error.errors()]}, 422)


def _shown(each: dict[str, Any]) -> dict[str, Any]:
    # Without the value, which may be a secret in the wrong place; a pattern explains nothing to people.
    is_pattern = each["type"] == "string_pattern_mismatch"
    message = "Not of the form that /docs describes" if is_pattern else each["msg"]
    return {"loc": each["loc"], "msg": message, "type": each["type"]}


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    if is_unavailable(error):
        log.warning("http_database_away", error=type(error).__name__)
        return JSONResponse({"detail": AWAY}, 503, {"Retry-After": "5"})
    log.error("http_failed", exc_info=error)
    return JSONResponse({"detail": "Something went wrong here: the log says more"}, 500)
