from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from services.llm.orders import gives_orders
from services.llm.prompts import estimated_tokens
from services.tagging.retry_policy import AttemptTrail
from services.tagging.tagging_request import TaggingRequest
from services.text import sendable
from storage.queue.claim import ClaimedPost

#: Of the posts' texts in one request. Small free models have room for 8,192 with the rules and the answer.
TOKENS_A_REQUEST = 5000


def most_together(post: ClaimedPost, trail: AttemptTrail, batch_size: int) -> int:
    # A suspect's fault must not fail others, nor a text decide on the tags of others.
    if batch_size == 1 or post.suspect or trail.gave_orders or gives_orders(sendable(post.text or "")):
        return 1
    return min(batch_size, trail.together or batch_size)


def batches(requests: Sequence[TaggingRequest]) -> list[TaggingRequest]:
    """Requests of one post each, joined by kind, as full as allowed, in the order of each one's first post."""
    kinds: dict[Hashable, list[TaggingRequest]] = {}
    for request in requests:
        kinds.setdefault(request.kind, []).append(request)
    place = {request.posts[0].id: number for number, request in enumerate(requests)}
    joined = [batch for kind in kinds.values() for batch in _joined(kind)]
    return sorted(joined, key=lambda batch: place[batch.posts[0].id])


def _joined(requests: Sequence[TaggingRequest]) -> Iterator[TaggingRequest]:
    first, posts, tokens = requests[0], list[ClaimedPost](), 0
    for (post,) in (request.posts for request in requests):
        size = estimated_tokens(post.text or "") if first.most_posts > 1 else 0
        if posts and (len(posts) == first.most_posts or tokens + size > TOKENS_A_REQUEST):
            yield replace(first, posts=tuple(posts))
            posts, tokens = [], 0
        posts.append(post)
        tokens += size
    yield replace(first, posts=tuple(posts))
