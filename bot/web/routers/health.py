"""Liveness and readiness, open to everybody: no names, addresses or error messages."""

from fastapi import APIRouter, Response

from bot.web.dependencies import BackendDep
from bot.web.schemas import Health, Readiness

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Health:
    """Liveness: the event loop answers."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready"}})
async def readyz(response: Response, backend: BackendDep) -> Readiness:
    """Readiness: the database answers and is migrated, Telegram takes calls. A paused provider is only shown."""
    found = await backend.readiness.check()
    response.status_code = 200 if found.status == "ready" else 503
    return found
