"""Every error is answered as JSON with a `detail`, without tracebacks and without values from the request."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from services.library.api_queries import UnknownUserError
from services.tags.errors import TagError, TagProblem
from services.tags.rules import RuleError, RuleProblem
from storage.db.engine import is_unavailable, unavailable_reason

log = structlog.get_logger(__name__)

METHODS = ("GET", "PATCH", "POST", "PUT", "DELETE")
MISSING = {TagProblem.NOT_FOUND, TagProblem.NO_POST}
NO_DATABASE = "The database does not answer: try again in a moment"


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
    app.add_exception_handler(UnknownUserError, _unknown_user)  # type: ignore[arg-type]
    app.add_exception_handler(RuleError, _rule_error)  # type: ignore[arg-type]
    app.add_exception_handler(TagError, _tag_refused)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(ClientDisconnect, _disconnected)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _failed)


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
    return JSONResponse({"detail": error.detail}, error.status_code, headers)


def _allowed(request: Request) -> list[str]:
    """FastAPI names the methods of the path's first operation only."""
    routes = request.app.router.routes
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    found = [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    return ["HEAD", *found] if "GET" in found else found


async def _unknown_user(_request: Request, error: UnknownUserError) -> JSONResponse:
    return JSONResponse({"detail": f"{error}: GET /users lists them"}, 404)


async def _rule_error(_request: Request, error: RuleError) -> JSONResponse:
    if error.problem is RuleProblem.NO_CHANNEL:
        return JSONResponse({"detail": "The user has no such channel"}, 404)
    if error.problem is RuleProblem.NO_TAGS:
        return JSONResponse({"detail": _sentence(error.problem)}, 409)
    problem = {"loc": ["body"], "msg": _sentence(error.problem), "type": error.problem.name.lower()}
    return JSONResponse({"detail": [problem]}, 422)


def _sentence(problem: RuleProblem | TagProblem) -> str:
    return problem.value[0].upper() + problem.value[1:]


async def _tag_refused(_request: Request, error: TagError) -> JSONResponse:
    return JSONResponse({"detail": _sentence(error.problem)}, 404 if error.problem in MISSING else 409)


async def _disconnected(_request: Request, _error: ClientDisconnect) -> None:
    log.debug("http_client_disconnected")


async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    return JSONResponse({"detail": [_described(each) for each in error.errors()]}, 422)


def _described(problem: dict[str, Any]) -> dict[str, Any]:
    # Without the value, which may be a secret in the wrong place.
    is_pattern = problem["type"] == "string_pattern_mismatch"
    message = "Not of the form that /docs describes" if is_pattern else problem["msg"]
    return {"loc": problem["loc"], "msg": message, "type": problem["type"]}


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    if is_unavailable(error):
        log.warning("http_database_away", error=unavailable_reason(error))
        return JSONResponse({"detail": NO_DATABASE}, 503, {"Retry-After": "5"})
    log.error("http_failed", exc_info=error)
    return JSONResponse({"detail": "Something went wrong here: the log says more"}, 500)
