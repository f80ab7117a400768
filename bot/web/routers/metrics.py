from fastapi import APIRouter, Depends, Response

from bot.web.dependencies import AdminDep, BackendDep, known_query
from bot.web.schemas import PROBLEMS

router = APIRouter(tags=["health"], dependencies=[Depends(known_query)], responses=PROBLEMS)
_TEXT = {"description": "All metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/metrics", response_class=Response, responses={200: _TEXT})
async def metrics(_admin: AdminDep, backend: BackendDep) -> Response:
    """Metrics in Prometheus's text format (the administrator's alone)."""
    return Response(await backend.exposition.scrape(), media_type=backend.exposition.content_type)
