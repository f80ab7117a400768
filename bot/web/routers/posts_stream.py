import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Depends
from pydantic_core import to_json
from starlette.responses import StreamingResponse

from bot.web.dependencies import BackendDep, OwnUserId, TagFilter, known_query
from bot.web.schemas import PROBLEMS, Status
from services.library.api_queries import ListedPost, UnknownUserError

router = APIRouter(tags=["posts"], dependencies=[Depends(known_query)], responses=PROBLEMS)
MEDIA_TYPE = "application/x-ndjson"
PAGE = 200
_LINES = {"schema": {"type": "string", "description": "A line for each post, a `ListedPost` as JSON"}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The posts", "content": {MEDIA_TYPE: _LINES}},
}


@router.get("/users/{user_id}/posts.ndjson", response_class=StreamingResponse, responses=_RESPONSES)
async def stream_posts(
    user_id: OwnUserId, backend: BackendDep, status: Status | None = None, tag: TagFilter = None
) -> StreamingResponse:
    """All of a user's posts, the newest first, as JSON Lines: in each line an object as in the pages of posts.

    A stream that breaks off is not whole: the connection is cut, without HTTP's end of an answer.
    """
    pages = backend.listing.pages(user_id, status=status, tag=tag, limit=PAGE)
    # Read before the answer begins, so that an error still has a status.
    first = await anext(pages)
    return StreamingResponse(_lines(first, pages), media_type=MEDIA_TYPE)


async def _lines(first: list[ListedPost], following: AsyncGenerator[list[ListedPost], None]) -> AsyncIterator[bytes]:
    async with aclosing(following):
        yield _as_lines(first)
        try:
            async for page in following:
                yield _as_lines(page)
                # SQLite answers without a pause: let other tasks run.
                await asyncio.sleep(0)
        except UnknownUserError:
            return


def _as_lines(page: list[ListedPost]) -> bytes:
    return b"".join(to_json(post) + b"\n" for post in page)
