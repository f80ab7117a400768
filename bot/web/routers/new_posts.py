import asyncio

from fastapi import APIRouter, Depends, Request

from bot.web.dependencies import BackendDep, OwnUserId, known_query
from bot.web.request_body import documented, parse_body
from bot.web.schemas import PROBLEMS, NewPost, NewPosts, PostsTaken, TakenPost
from services.ingest.api_posts import ApiPost
from services.sources.base import SourceChannel, SourcePost

router = APIRouter(tags=["posts"], dependencies=[Depends(known_query)], responses=PROBLEMS)


@router.post("/users/{user_id}/posts", status_code=202, openapi_extra=documented(NewPosts.json_schema()))
async def take_posts(user_id: OwnUserId, backend: BackendDep, request: Request) -> PostsTaken:
    """Store posts of channels for a user, and queue them for tags: all of them, or (with an error) none.

    A post is known again by its channel and its message's number: sent twice it is stored once, and a text that has
    changed is tagged anew. Of several of the same message in one call the last counts.
    """
    await backend.listing.check_user(user_id)
    # FastAPI would read a body of 32 MiB before it knows the caller, and parse it in the event loop.
    given = await asyncio.to_thread(parse_body, await request.body(), NewPosts)
    receipt = await backend.api_posts.store(user_id, [_api_post(post) for post in given.posts])
    return PostsTaken(
        user_id=user_id,
        received=len(given.posts),
        new=receipt.new,
        known=receipt.known,
        edited=receipt.edited,
        queued=receipt.queued,
        posts=[TakenPost.model_validate(taken) for taken in receipt.posts],
    )


def _api_post(post: NewPost) -> ApiPost:
    username = (post.channel_username or "").lstrip("@") or None
    return ApiPost(
        SourceChannel(post.channel_id, username, post.channel_title or ""),
        SourcePost(post.telegram_message_id, post.text, post.posted_at, url=post.url, views=post.views),
    )
