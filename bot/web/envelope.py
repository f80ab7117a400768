"""Around every request: its id (in the answer, and with the path in each line of the log), headers of security,
and no exception beyond here.
"""

from __future__ import annotations

import asyncio
import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

REQUEST_ID = "X-Request-ID"
#: A reverse proxy's own ids are kept, if they can do no harm in a log.
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LONGEST_LOGGED = 200
#: What follows there is as good as a password.
_SECRET = re.compile(r"(feeds/).*", re.IGNORECASE | re.DOTALL)
#: An answer of JSON needs nothing else from anywhere; the pages say for themselves what they need.
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

STOPPING = "Metka is stopping: try again in a moment"


class Envelope:
    """Outermost of all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request over HTTP; other kinds are passed on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, began, status = _request_id(scope), time.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id, path=_path(scope)):
            try:
                await self._app(scope, receive, send_with_headers)
            except asyncio.CancelledError:
                # By uvicorn, when a stop does not wait any longer (`bot.web.server`): each request is a task of its
                # own that ends here, so that nobody above misses that. What was cancelled further in is a bug.
                if not _is_cancelled():
                    raise
                if not status:
                    answer = JSONResponse({"detail": STOPPING}, 503, {"Retry-After": "5"})
                    await answer(scope, receive, send_with_headers)
            except Exception:
                # Answered and logged by then (`bot.web.errors`), or the caller has gone.
                if not status:
                    log.exception("http_broke")
                    raise
            _log(scope, status, time.monotonic() - began)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _ID.fullmatch(given) else uuid4().hex


def _path(scope: Scope) -> str:
    path = _SECRET.sub(r"\1***", str(scope["path"]))
    # What a stranger writes there is to do nothing to a terminal, and is not to fill the disk.
    return path.encode("unicode_escape").decode()[:LONGEST_LOGGED]


def _log(scope: Scope, status: int, seconds: float) -> None:
    # Who asks for something, and what went wrong, is worth a line; looking on is not, nor who hangs up (no status).
    looks_on = scope["method"] in {"GET", "HEAD", "OPTIONS"} and status < 500 and status not in {401, 403}
    write = log.debug if looks_on or status in {0, 429} else log.info
    write("http_request", method=scope["method"], status=status, seconds=round(seconds, 3))
