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
#: A proxy's own ids are kept if they can do no harm in a log.
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LOGGED_PATH_LENGTH = 200
#: The secret of a feed's link is as good as a password.
_FEED_SECRET = re.compile(r"(feeds/).*", re.IGNORECASE | re.DOTALL)
#: The documentation's pages send a Content-Security-Policy of their own.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STOPPING = "Metka is stopping: try again in a moment"


class RequestId:
    """The outermost middleware: X-Request-ID, security headers, and a log line for each request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, began, status = _request_id(scope), time.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id, path=_logged_path(scope)):
            try:
                await self._app(scope, receive, send_with_headers)
            except asyncio.CancelledError:
                # At a stop uvicorn cancels the requests that have not ended. Each is a task of its own.
                if not status:
                    answer = JSONResponse({"detail": STOPPING}, 503, {"Retry-After": "5"})
                    await answer(scope, receive, send_with_headers)
            except Exception:
                if not status:
                    raise
            _log_request(scope, status, time.monotonic() - began)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _SAFE_ID.fullmatch(given) else uuid4().hex


def _logged_path(scope: Scope) -> str:
    path = _FEED_SECRET.sub(r"\1***", str(scope["path"]))
    # Escaped and cut: strangers must not control the terminal or fill the disk.
    return path.encode("unicode_escape").decode()[:LOGGED_PATH_LENGTH]


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    is_read = scope["method"] in {"GET", "HEAD", "OPTIONS"} and status < 500 and status not in {401, 403}
    # Status 0: the client hung up before an answer.
    write = log.debug if is_read or status in {0, 429} else log.info
    write("http_request", method=scope["method"], status=status, seconds=round(seconds, 3))
