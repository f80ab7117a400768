"""Posts from other programs."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from bot.web.dependencies import BackendDep, OwnUserId, known_query
from bot.web.schemas import MAX_POSTS, NewPost, NewPosts, PostsTaken, TakenPost, problems
from services.sources.base import SourceChannel, SourcePost
from services.submissions import Submission

router = APIRouter(tags=["posts"], dependencies=[Depends(known_query)])
#: Of one answer, and characters of a field's name in it.
MAX_PROBLEMS, MAX_NAME = 100, 100
_BODY = {"required": True, "content": {"application/json": {"schema": NewPosts.described()}}}


@router.post(
    "/users/{user_id}/posts",
    status_code=202,
    responses=problems(401, 403, 404, 413, 429, 503),
    openapi_extra={"requestBody": _BODY},
)
async def take_posts(user_id: OwnUserId, backend: BackendDep, request: Request) -> PostsTaken:
    """Store posts of channels for a user, and queue them for tags: all of them, or (with an error) none.

    A post is known again by its channel and its message's number: sent twice it is stored once, and a text that has
    changed is tagged anew. Of several of the same message in one call the last counts.
    """
    await backend.listing.make_sure_of(user_id)
    # FastAPI would read a body of 32 MiB before it knows the caller, and parse it in the event loop.
    given = await asyncio.to_thread(_parse, await request.body())
    receipt = await backend.submissions.take(user_id, [_submission(post) for post in given.posts])
    return PostsTaken(
        user_id=user_id,
        received=len(given.posts),
        new=receipt.new,
        known=receipt.known,
        edited=receipt.edited,
        queued=receipt.queued,
        posts=[TakenPost.model_validate(taken) for taken in receipt.posts],
    )


def _parse(body: bytes) -> NewPosts:
    try:
        return NewPosts.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_PROBLEMS]
        raise RequestValidationError([_problem(dict(each)) for each in found]) from None


def _problem(problem: dict[str, Any]) -> dict[str, Any]:
    if problem["type"] == "too_long" and problem["loc"] == ("posts",):
        problem["msg"] = f"More than {MAX_POSTS} posts: hand them in by several calls"
    # An unknown key may be as long as the body.
    place = (each[:MAX_NAME] if isinstance(each, str) else each for each in problem["loc"])
    return {**problem, "loc": ("body", *place)}


def _submission(post: NewPost) -> Submission:
    username = (post.channel_username or "").lstrip("@") or None
    return Submission(
        SourceChannel(post.channel_id, username, post.channel_title or ""),
        SourcePost(post.telegram_message_id, post.text, post.posted_at, url=post.url, views=post.views),
    )
