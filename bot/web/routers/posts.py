from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.exceptions import RequestValidationError

from bot.web import schemas
from bot.web.dependencies import Backend, BackendDep, CallerDep, Limit, OwnUserId, PostId, TagFilter, known_query
from bot.web.schemas import PROBLEMS
from services.availability.provider_status import ProviderState
from services.library.api_queries import Page, PostWithAttempts
from services.library.cursor import CURSOR
from services.library.search import SearchOffError
from services.library.search_words import QUERY_LIMIT, SinceError

router = APIRouter(tags=["posts"], dependencies=[Depends(known_query)], responses=PROBLEMS)
DISABLED = "Tagging is disabled: put OPENROUTER_API_KEY into .env and start again"

Before = Annotated[
    str | None,
    Query(
        pattern=CURSOR,
        description="`next` of the page before, or a time (ISO 8601): posts older than it",
        examples=["2026-01-31T12:00:00Z"],
    ),
]


Words = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=QUERY_LIMIT,
        description="Words in any form, #tags and @channels; - before one leaves posts with it out; since:2026-01-31",
        examples=["solar panels #energy -advert since:2026"],
    ),
]


@router.get("/users/{user_id}/posts/tagging_stats")
async def tagging_stats(user_id: OwnUserId, backend: BackendDep) -> schemas.TaggingStats:
    """How far a user's posts are: counts by status, with and without tags, those that need a retry."""
    counts = await backend.listing.tagging_counts(user_id, backend.max_attempts)
    return schemas.TaggingStats(
        user_id=user_id,
        total_posts=counts.total,
        posts_with_tags=counts.with_tags,
        posts_without_tags=counts.total - counts.with_tags,
        posts_need_retry=counts.need_retry,
        stats_by_status=schemas.StatsByStatus(**counts.by_status),
        tagging_enabled=backend.tagging.enabled,
        max_retry_attempts=backend.max_attempts,
    )


@router.post("/users/{user_id}/posts/retry_tagging", status_code=202)
async def retry_tagging(
    user_id: OwnUserId, caller: CallerDep, backend: BackendDep, force: bool = False, limit: Limit = 50
) -> schemas.RetryQueued:
    """Queue posts that lack tags: pending and retrying ones at once, failed ones for one more attempt.

    `force` (the administrator's alone) also counts attempts anew, and asks the provider again in a pause.
    """
    if force and not caller.is_admin:
        raise HTTPException(403, "force is the administrator's alone")
    await backend.listing.check_user(user_id)
    _refuse_if_disabled(backend)
    # Read first: after the posts are queued, an error must not be the answer.
    state = await backend.tagging.provider_state()
    receipt = await backend.tagging.retry_failed_posts(user_id, limit, force)
    return schemas.RetryQueued(
        user_id=user_id,
        force_mode=force,
        requested_limit=limit,
        queued=receipt.queued,
        message=_message(state, receipt.queued, force=force),
    )


@router.get("/users/{user_id}/posts")
async def list_posts(
    user_id: OwnUserId,
    backend: BackendDep,
    limit: Limit = 100,
    status: schemas.Status | None = None,
    tag: TagFilter = None,
    q: Words = None,
    before: Before = None,
) -> Page:
    """A user's posts, the newest first, a page after the other: `next` is the `before` of the next one."""
    try:
        return await backend.listing.posts(user_id, status=status, tag=tag, q=q, before=before, limit=limit)
    except SearchOffError:
        raise HTTPException(503, "Search is switched off: SEARCH_INDEX in .env") from None
    except SinceError:
        message = "since: takes a year, a month or a day, such as since:2026-01-31"
        raise RequestValidationError([{"loc": ("query", "q"), "msg": message, "type": "value_error"}]) from None


@router.get("/posts/{post_id}")
async def get_post(post_id: PostId, caller: CallerDep, backend: BackendDep) -> PostWithAttempts:
    """A post with the requests for its tags, the latest first (those of 30 days, 100 at most)."""
    found = await backend.listing.post(post_id, caller.user_id)
    if found is None:
        raise _no_such_post(post_id)
    return found


@router.post("/posts/{post_id}/regenerate_tags", status_code=202)
async def regenerate_tags(post_id: PostId, caller: CallerDep, backend: BackendDep) -> schemas.RegenerateQueued:
    """New tags for one post, ahead of everything; the old ones stand until they come."""
    _refuse_if_disabled(backend)
    state = await backend.tagging.provider_state()
    if await backend.tagging.update_post_tags(post_id, user_id=caller.user_id) is None:
        raise _no_such_post(post_id)
    return schemas.RegenerateQueued(post_id=post_id, message=_message(state, 1))


def _no_such_post(post_id: int) -> HTTPException:
    # Also if the post is another user's.
    return HTTPException(404, f"There is no post {post_id}")


def _refuse_if_disabled(backend: Backend) -> None:
    if not backend.tagging.enabled:
        raise HTTPException(503, DISABLED)


def _message(state: ProviderState, queued: int, *, force: bool = False) -> str:
    if not queued:
        return "Nothing to retry."
    done = "1 post is queued." if queued == 1 else f"{queued} posts are queued."
    if state.state in {"open", "disabled"}:
        return done
    if force:
        return f"{done} Tagging is paused: the provider is asked once now, and goes on if it answers."
    until = f"until {state.until:%Y-%m-%dT%H:%M:%SZ}" if state.until else "until the provider is back"
    return f"{done} Tagging is paused {until}."
