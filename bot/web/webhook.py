"""Telegram's way in: updates come by POST, are stored, and are handled after the answer."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from services.ingest.received_updates import BadUpdateError

log = structlog.get_logger(__name__)

#: Of setWebhook's documentation, https://core.telegram.org/bots/api#setwebhook.
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True)
class Hook:
    """Where updates come in, what Telegram proves itself with, and who stores them."""

    path: str
    secret: str
    receive: Callable[[bytes], Awaitable[None]]

    def is_telegrams(self, scope: Scope) -> bool:
        """Whether a request has the secret."""
        given = Headers(scope=scope).get(SECRET_HEADER, "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.secret.encode())

    def lets_in(self, scope: Scope) -> bool:
        """Whether a request is Telegram's, and need not stand in line behind others of the same proxy."""
        return scope["path"] == self.path and self.is_telegrams(scope)


def router(hook: Hook) -> APIRouter:
    """This topic's path."""

    async def receive(request: Request) -> Response:
        # Before the body is read: a stranger's costs nothing.
        if not hook.is_telegrams(request.scope):
            raise HTTPException(401, f"{SECRET_HEADER} is not WEBHOOK_SECRET")
        try:
            await hook.receive(await request.body())
        except ClientDisconnect:
            log.info("update_broken_off")
        except BadUpdateError as error:
            # Answered as if taken: Telegram would send it again for a day.
            log.warning("update_skipped", update_id=None, error=str(error))
        return Response()

    made = APIRouter()
    made.post(hook.path, include_in_schema=False)(receive)
    return made
