"""What Prometheus reads."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Response

from bot.monitoring.exposition import Exposition
from bot.web.dependencies import Admin, known_query
from bot.web.schemas import problems


def router(exposition: Exposition) -> APIRouter:
    """This topic's path."""

    async def metrics(_admin: Admin) -> Response:
        """Metrics in Prometheus's text format (the administrator's alone)."""
        return Response(await exposition.scrape(), media_type=exposition.content_type)

    text = {"text/plain": {"schema": {"type": "string"}}}
    described: dict[int | str, dict[str, Any]] = {200: {"description": "All metrics", "content": text}}
    made = APIRouter(tags=["health"], dependencies=[Depends(known_query)])
    made.get("/metrics", response_class=Response, responses={**described, **problems(401, 403, 429, 503)})(metrics)
    return made
