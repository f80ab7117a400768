import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes. A thousand of Telegram's longest posts fit into MAX_POSTS_BODY, even if JSON escapes every letter.
MAX_BODY, MAX_POSTS_BODY = 1024 * 1024, 32 * 1024 * 1024
_POSTS_PATH = re.compile(r"/users/[0-9]+/posts")
TOO_LARGE = "The body is too large"


class BodyLimit:
    """Answers 413 to a large body. Starlette's own limit answers in plain text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = MAX_POSTS_BODY if _POSTS_PATH.fullmatch(scope["path"]) else MAX_BODY
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, TOO_LARGE)
            return message

        if int(Headers(scope=scope).get("content-length", "0")) > limit:
            await JSONResponse({"detail": TOO_LARGE}, 413)(scope, receive, send)
        else:
            await self._app(scope, receive_limited, send)
