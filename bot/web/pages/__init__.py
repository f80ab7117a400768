"""The pages that show the OpenAPI document, with all their files: nothing comes from another server."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

HERE = Path(__file__).parent
#: Swagger UI and ReDoc themselves come with this package.
PACKAGE = "fastapi_standalone_docs"
# Both write styles into the page; ReDoc searches in a worker of its own making, Swagger UI has images in its styles.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none'"
)


class _Files(StaticFiles):
    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def add_pages(app: FastAPI) -> None:
    """/docs, /redoc, and a way to them from /."""

    async def root() -> Response:
        return RedirectResponse("docs")

    async def swagger() -> Response:
        return _page("swagger.html")

    async def redoc() -> Response:
        return _page("redoc.html")

    for path, page in (("/", root), ("/docs", swagger), ("/redoc", redoc)):
        app.get(path, include_in_schema=False)(page)
    app.mount("/docs-files", _Files(directory=HERE / "static", packages=[(PACKAGE, "static")]))


def _page(name: str) -> Response:
    return FileResponse(HERE / name, headers={"Content-Security-Policy": POLICY})
