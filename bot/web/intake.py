"""Posts from other programs over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from bot.web import schemas
from bot.web.admission import LARGEST_POSTS
from bot.web.dependencies import OwnUser, TheBackend, known_query
from bot.web.schemas import MOST_POSTS, NewPost, NewPosts, problems
from bot.web.shape import holds_more
from services.ingest.api_posts import Submission
from services.sources.base import SourceChannel, SourcePost

#: Of one answer, and characters of a name in it.
MOST_PROBLEMS, LONGEST_NAME = 100, 100
#: Keys, strings, commas and brackets of a body: a post that has all its fields takes 22 of them.
MOST_PARTS = 25 * MOST_POSTS


async def take_posts(user_id: OwnUser, backend: TheBackend, request: Request) -> schemas.PostsTaken:
    """Store posts of channels for a user, and queue them for tags: all of them, or (with an error) none.

    A post is known again by its channel and its message's number: sent twice it is stored once, and a text that has
    changed is tagged anew. Of several of the same message in one call the last counts.
    """
    await backend.listing.check_user(user_id)
    # Read here, after the caller is known: a stranger's body costs nothing.
    body = await request.body()
    # In a thread: a thousand long posts take a while.
    given = await asyncio.to_thread(_read, body)
    receipt = await backend.submissions.take(user_id, [_submission(post) for post in given.posts])
    return schemas.PostsTaken(
        user_id=user_id,
        received=len(given.posts),
        new=receipt.new,
        known=receipt.known,
        edited=receipt.edited,
        queued=receipt.queued,
        posts=[schemas.TakenPost.model_validate(taken) for taken in receipt.posts],
    )


def _read(body: bytes) -> NewPosts:
    if holds_more(body, MOST_PARTS):
        message = f"More than {MOST_POSTS} posts hold: hand them in by several calls"
        raise RequestValidationError([{"loc": ("body",), "msg": message, "type": "too_long"}])
    try:
        return NewPosts.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:MOST_PROBLEMS]
        raise RequestValidationError([_problem(dict(each)) for each in found]) from None


def _problem(problem: dict[str, Any]) -> dict[str, Any]:
    if problem["type"] == "too_long" and problem["loc"] == ("posts",):
        problem["msg"] = f"More than {MOST_POSTS} posts: hand them in by several calls"
    # A key that is not known may be as long as the body.
    place = (each[:LONGEST_NAME] if isinstance(each, str) else each for each in problem["loc"])
    return {**problem, "loc": ("body", *place)}


def _submission(post: NewPost) -> Submission:
    username = (post.channel_username or "").lstrip("@") or None
    return Submission(
        SourceChannel(post.channel_id, username, post.channel_title or ""),
        SourcePost(post.telegram_message_id, post.text, post.posted_at, url=post.url, views=post.views),
    )


def router() -> APIRouter:
    """This topic's path."""
    made = APIRouter(tags=["posts"], dependencies=[Depends(known_query)])
    body = {"required": True, "content": {"application/json": {"schema": NewPosts.described()}}}
    made.post(
        "/users/{user_id}/posts",
        status_code=202,
        responses=problems(401, 403, 404, 413, 429, 503),
        openapi_extra={"requestBody": body},
        max_body_size=LARGEST_POSTS,
    )(take_posts)
    return made
