"""The one check in which every scenario ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from sandbox.provider import expected_tags
from storage.schema.tables import Post
from tests.faults.world import World
from tests.services.posts import keys


async def check(
    world: World,
    *,
    most_requests: int,
    failed: Mapping[int, str] | None = None,
    shortened: Collection[int] = (),
    most_repeats: int = 0,
) -> None:
    """Every post is tagged with its own tags or failed for the right reason; none is stuck; requests are few.

    Args:
        most_requests: all that may have been asked; each scenario says from what it follows.
        failed: posts that have to fail, each with its `failure_kind`; every other one has to be tagged.
        shortened: posts whose answer was cut, so that some of their own tags are enough.
        most_repeats: answered requests that may have been asked again (a killed process forgets its answers).
    """
    posts = await world.posts()
    wrong = [_wrong(post, (failed or {}).get(post.id), post.id in shortened) for post in posts]
    problems = [reason for reason in wrong if reason]
    assert problems == [], problems
    assert len(world.provider.requests) <= most_requests, _counts(world)
    assert _repeats(world) <= most_repeats, _counts(world)
    assert [error for error in world.telegram.errors if "Conflict" not in str(error)] == []
    for bot in world.bots:
        assert "Traceback" not in bot.log, bot.log


def _wrong(post: Post, failure: str | None, shortened: bool) -> str | None:
    """What is wrong with a post, in words."""
    if post.lease_token is not None or post.lease_expires_at is not None:
        return f"#{post.id} {post.tagging_status} holds a lease"
    if failure is not None:
        right = (post.tagging_status, post.failure_kind) == ("failed", failure) and bool(post.tagging_error)
        return None if right else f"#{post.id} {post.tagging_status} {post.failure_kind}: {post.tagging_error}"
    if post.tagging_status != "success" or post.next_attempt_at is not None:
        return f"#{post.id} {post.tagging_status}: {post.tagging_error}"
    own, found = keys(expected_tags(post.text or "")), keys(post.tags or [])
    right = bool(found) and set(found) <= set(own) if shortened else found == own
    return None if right else f"#{post.id} has {found}, its own are {own}"


def _repeats(world: World) -> int:
    """Requests that were answered well, and yet asked again."""
    answered = Counter(record.message for record in world.provider.requests if record.outcome == "ok")
    return sum(count - 1 for count in answered.values())


def _counts(world: World) -> str:
    requests = world.provider.requests
    return f"{len(requests)} requests: {Counter(record.outcome for record in requests)}"
