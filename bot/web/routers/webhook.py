import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from starlette.datastructures import Headers
from starlette.types import Scope

from services.ingest.received_updates import BadUpdateError

log = structlog.get_logger(__name__)

#: See https://core.telegram.org/bots/api#setwebhook.
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name


@dataclass(frozen=True, slots=True)
class TelegramWebhook:
    path: str
    secret: str
    store: Callable[[bytes], Awaitable[None]]

    def is_authentic(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get(SECRET_HEADER, "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.secret.encode())

    def is_from_telegram(self, scope: Scope) -> bool:
        return scope["path"] == self.path and self.is_authentic(scope)


def make_router(webhook: TelegramWebhook) -> APIRouter:
    router = APIRouter()

    @router.post(webhook.path, include_in_schema=False)
    async def receive(request: Request) -> Response:
        # Checked before the body is read: a stranger's body takes no memory.
        if not webhook.is_authentic(request.scope):
            raise HTTPException(401, f"{SECRET_HEADER} is not WEBHOOK_SECRET")
        try:
            await webhook.store(await request.body())
        except BadUpdateError as error:
            # Answered 200: Telegram would send the update again for a day.
            log.warning("update_skipped", update_id=None, error=str(error))
        return Response()

    return router
