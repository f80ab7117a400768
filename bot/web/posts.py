"""Posts over HTTP: pages, one with its attempts, statistics, retry, new tags."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Response

from bot.web import schemas
from bot.web.dependencies import Backend, Limit, OwnUser, PostId, TheBackend, TheCaller, known_query, no_such_post
from bot.web.schemas import problems
from services.availability.provider_status import ProviderState
from services.library.cursor import CURSOR

#: PostgreSQL cannot even compare a text with NUL.
PRINTABLE = r"^[^\x00]+$"
DISABLED = "Tagging is disabled: put OPENROUTER_API_KEY into .env and start again"


async def tagging_stats(user_id: OwnUser, backend: TheBackend) -> schemas.TaggingStats:
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


async def retry_tagging(
    user_id: OwnUser, caller: TheCaller, backend: TheBackend, force: bool = False, limit: Limit = 50
) -> schemas.RetryQueued:
    """Queue posts that lack tags: pending and retrying ones at once, failed ones for one more attempt.

    `force` (the administrator's alone) also counts attempts anew, and asks the provider again in a pause.
    """
    if force and not caller.is_admin:
        raise HTTPException(403, "force is the administrator's alone")
    await backend.listing.check_user(user_id)
    _refuse_when_disabled(backend)
    # Before the work: what was done is not to be answered by an error.
    state = await backend.tagging.provider_state()
    receipt = await backend.tagging.retry_failed_posts(user_id, limit, force)
    return schemas.RetryQueued(
        user_id=user_id,
        force_mode=force,
        requested_limit=limit,
        queued=receipt.queued,
        message=_told(state, receipt.queued, force=force),
    )


async def regenerate_tags(post_id: PostId, caller: TheCaller, backend: TheBackend) -> schemas.RegenerateQueued:
    """New tags for one post, ahead of everything; the old ones stand until they come."""
    _refuse_when_disabled(backend)
    state = await backend.tagging.provider_state()
    queued = await backend.tagging.update_post_tags(post_id, user_id=caller.user_id)
    if queued is None:
        raise no_such_post(post_id)
    return schemas.RegenerateQueued(post_id=post_id, message=_told(state, 1))


async def list_posts(
    user_id: OwnUser,
    backend: TheBackend,
    limit: Limit = 100,
    status: schemas.Status | None = None,
    tag: Annotated[str | None, Query(min_length=1, max_length=100, pattern=PRINTABLE)] = None,
    before: Annotated[
        str | None,
        Query(
            pattern=CURSOR,
            description="`next` of the page before, or a time (ISO 8601): posts older than it",
            examples=["2026-01-31T12:00:00Z"],
        ),
    ] = None,
) -> Response:
    """A user's posts, the newest first, a page after the other: `next` is the `before` of the next one."""
    page = await backend.listing.posts(user_id, status=status, tag=tag, before=before, limit=limit)
    return schemas.as_json(page)


async def get_post(post_id: PostId, caller: TheCaller, backend: TheBackend) -> Response:
    """A post with the requests for its tags, the latest first (those of 30 days, 100 at most)."""
    found = await backend.listing.post(post_id, caller.user_id)
    if found is None:
        raise no_such_post(post_id)
    return schemas.as_json(found)


def _refuse_when_disabled(backend: Backend) -> None:
    if not backend.tagging.enabled:
        raise HTTPException(503, DISABLED)


def _told(state: ProviderState, queued: int, *, force: bool = False) -> str:
    """What was done, and how long it may take when tagging is paused."""
    if not queued:
        return "Nothing to retry."
    done = "1 post is queued." if queued == 1 else f"{queued} posts are queued."
    if state.state in {"open", "disabled"}:
        return done
    if force:
        return f"{done} Tagging is paused: the provider is asked once now, and goes on if it answers."
    until = f"until {state.until:%Y-%m-%dT%H:%M:%SZ}" if state.until else "until the provider is back"
    return f"{done} Tagging is paused {until}."


def router() -> APIRouter:
    """This topic's paths."""
    made = APIRouter(tags=["posts"], dependencies=[Depends(known_query)])
    stats, retry, regenerate = "/tagging_stats", "/retry_tagging", "/regenerate_tags"
    base = "/users/{user_id}/posts"
    made.get(base + stats, responses=problems(401, 403, 404, 429, 503))(tagging_stats)
    made.post(base + retry, status_code=202, responses=problems(401, 403, 404, 429, 503))(retry_tagging)
    made.get(base, response_model=schemas.Posts, responses=problems(401, 403, 404, 429, 503))(list_posts)
    one = "/posts/{post_id}"
    made.get(one, response_model=schemas.PostWithAttempts, responses=problems(401, 403, 404, 429, 503))(get_post)
    made.post(one + regenerate, status_code=202, responses=problems(401, 403, 404, 429, 503))(regenerate_tags)
    return made
