"""All of a user's posts over HTTP, as a stream of JSON Lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic_core import to_json
from starlette.responses import StreamingResponse

from bot.web import schemas
from bot.web.dependencies import OwnUser, TheBackend, known_query
from bot.web.posts import PRINTABLE
from bot.web.schemas import problems
from services.library.api_queries import ListedPost, UnknownUserError

MEDIA_TYPE = "application/x-ndjson"
#: Posts that are read at once, and about how many bytes are sent at once.
PAGE, PIECE_BYTES = 200, 64 * 1024
#: Pages that all streams together read at the same time: the pool's connections are the bot's, too.
READERS = 1


async def _lines(
    first: list[ListedPost], following: AsyncGenerator[list[ListedPost], None], turns: asyncio.Semaphore
) -> AsyncIterator[bytes]:
    """Pages → pieces of the stream. What fails ends it in the middle, so that the reader sees that it is not whole."""
    async with aclosing(following):
        page: list[ListedPost] | None = first
        while page is not None:
            piece = bytearray()
            for post in page:
                piece += to_json(post) + b"\n"
                if len(piece) >= PIECE_BYTES:
                    yield bytes(piece)
                    piece.clear()
            yield bytes(piece)
            # SQLite answers without a pause: others get theirs here.
            await asyncio.sleep(0)
            async with turns:
                page = await _next(following)


async def _next(pages: AsyncGenerator[list[ListedPost], None]) -> list[ListedPost] | None:
    try:
        return await anext(pages, None)
    except UnknownUserError:
        # Deleted meanwhile, with all the posts that were left.
        return None


def router() -> APIRouter:
    """This topic's path."""
    turns = asyncio.Semaphore(READERS)

    async def stream_posts(
        user_id: OwnUser,
        backend: TheBackend,
        status: schemas.Status | None = None,
        tag: Annotated[str | None, Query(min_length=1, max_length=100, pattern=PRINTABLE)] = None,
    ) -> StreamingResponse:
        """All of a user's posts, the newest first, as JSON Lines: in each line an object as in the pages of posts.

        A stream that breaks off is not whole: the connection is cut, without HTTP's end of an answer.
        """
        pages = backend.listing.pages(user_id, status=status, tag=tag, limit=PAGE)
        async with turns:
            first = await anext(pages)
        return StreamingResponse(_lines(first, pages, turns), media_type=MEDIA_TYPE)

    made = APIRouter(tags=["posts"], dependencies=[Depends(known_query)])
    lines = {MEDIA_TYPE: {"schema": {"type": "string", "description": "A line for each post, a `Post` as JSON"}}}
    described: dict[int | str, dict[str, Any]] = {200: {"description": "The posts", "content": lines}}
    made.get(
        "/users/{user_id}/posts.ndjson",
        response_class=StreamingResponse,
        responses={**described, **problems(401, 403, 404, 429, 503)},
    )(stream_posts)
    return made
