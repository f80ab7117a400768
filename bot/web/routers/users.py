from typing import Annotated

from fastapi import APIRouter, Depends, Query

from bot.web import schemas
from bot.web.dependencies import BackendDep, CallerDep, Limit, OwnUserId, known_query
from bot.web.schemas import PROBLEMS
from services.library.cursor import MAX_ID

router = APIRouter(tags=["users"], dependencies=[Depends(known_query)], responses=PROBLEMS)
PARSE_WAIT_SECONDS = 3.0


@router.get("/users")
async def list_users(
    caller: CallerDep,
    backend: BackendDep,
    limit: Limit = 100,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="`next` of the page before")] = 0,
) -> schemas.Users:
    """Users by id, a page after the other; a single user's token shows that one."""
    users, following = await backend.listing.users(after=after, limit=limit, only=caller.user_id)
    return schemas.Users(users=users, next=following)


@router.get("/users/{user_id}/channels")
async def list_channels(user_id: OwnUserId, backend: BackendDep) -> schemas.Channels:
    """Channels that a user follows, or has posts of."""
    return schemas.Channels(channels=await backend.listing.channels(user_id))


@router.post("/users/{user_id}/channels/parse", status_code=202)
async def parse_channels(user_id: OwnUserId, backend: BackendDep) -> schemas.ParseQueued:
    """Fetch a user's public channels now: those that were added with /add and are not paused.

    At most one request a second is made, so a channel that is not read within a few seconds is `queued` and is read
    later. New posts are tagged as any others.
    """
    await backend.listing.check_user(user_id)
    readings = await backend.channels.fetch_all(user_id, wait_seconds=PARSE_WAIT_SECONDS)
    return schemas.ParseQueued(
        user_id=user_id,
        channels_queued=len(readings),
        posts_queued=sum(one.posts for one in readings),
        channels=[schemas.ParsedChannel.of(one) for one in readings],
    )
