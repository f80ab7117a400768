"""Users over HTTP: who there is, their channels and tags."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from bot.web import schemas
from bot.web.dependencies import Limit, OwnUser, TheBackend, TheCaller, known_query
from bot.web.schemas import problems
from services.library.cursor import MAX_ID

#: So long the answer to a wish to fetch waits for what comes of it.
READ_SECONDS = 3.0


async def list_users(
    caller: TheCaller,
    backend: TheBackend,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="`next` of the page before")] = 0,
) -> Response:
    """Users by id, a page after the other; a single user's token shows that one."""
    users, following = await backend.listing.users(after=after, limit=limit, only=caller.user_id)
    return schemas.as_json({"users": users, "next": following})


async def list_channels(user_id: OwnUser, backend: TheBackend) -> Response:
    """Channels that a user follows, or has posts of."""
    return schemas.as_json({"channels": await backend.listing.channels(user_id)})


async def list_tags(user_id: OwnUser, backend: TheBackend, limit: Limit = 1000) -> Response:
    """A user's tags with how many posts have each, the most frequent first."""
    return schemas.as_json({"tags": await backend.listing.tags(user_id, limit)})


async def parse_channels(user_id: OwnUser, backend: TheBackend) -> schemas.ParseQueued:
    """Fetch a user's public channels now: those that were added with /add and are not paused.

    At most one request a second is made, so that what is not read within a few seconds is `queued`, and comes by
    itself. New posts are tagged as any others.
    """
    await backend.listing.check_user(user_id)
    readings = await backend.channels.fetch_all(user_id, wait_seconds=READ_SECONDS)
    return schemas.ParseQueued(
        user_id=user_id,
        channels_queued=len(readings),
        posts_queued=sum(one.posts for one in readings),
        channels=[schemas.ParsedChannel.of(one) for one in readings],
    )


def router() -> APIRouter:
    """This topic's paths."""
    made = APIRouter(tags=["users"], dependencies=[Depends(known_query)])
    one = problems(401, 403, 404, 429, 503)
    made.get("/users", response_model=schemas.Users, responses=problems(401, 403, 429, 503))(list_users)
    made.get("/users/{user_id}/channels", response_model=schemas.Channels, responses=one)(list_channels)
    made.get("/users/{user_id}/tags", response_model=schemas.Tags, responses=one)(list_tags)
    made.post("/users/{user_id}/channels/parse", status_code=202, responses=one)(parse_channels)
    return made
