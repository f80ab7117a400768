"""Swagger UI and ReDoc for the OpenAPI document. Nothing comes from another server."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

HERE = Path(__file__).parent
# Both write styles into the page. ReDoc starts a worker from a blob; Swagger UI has images in its styles.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'"
)
router = APIRouter(include_in_schema=False)


@router.get("/")
async def root() -> Response:
    return RedirectResponse("docs")


@router.get("/docs")
async def swagger() -> Response:
    return _page("swagger.html")


@router.get("/redoc")
async def redoc() -> Response:
    return _page("redoc.html")


def add_pages(app: FastAPI) -> None:
    app.include_router(router)
    files = StaticFiles(directory=HERE / "static", packages=[("fastapi_standalone_docs", "static")])
    app.mount("/docs-files", files)


def _page(name: str) -> Response:
    return FileResponse(HERE / name, headers={"Content-Security-Policy": POLICY})
