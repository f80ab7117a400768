"""The values of the worker's turn: a request under way, how it ended, and what a turn starts."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from services.llm.client import Call
from services.llm.outcomes import Kind, Usage
from services.llm.prompts import Offer
from services.tags.rules import NO_RULES, Rules
from storage.queue.claim import ClaimedPost, Priority


@dataclass(frozen=True, slots=True)
class TaggingRequest:
    posts: tuple[ClaimedPost, ...]
    models: tuple[str, ...]
    is_probe: bool = False
    most_posts: int = 1
    #: users.id → the tags of this owner's vocabulary that the request offers.
    offered: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    #: Of each of its posts.
    rules: Rules = NO_RULES

    @property
    def offers(self) -> tuple[Offer, ...]:
        numbered = list(enumerate(self.posts, start=1))
        return tuple(
            Offer(tuple(number for number, post in numbered if post.user_id == owner), names)
            for owner, names in self.offered.items()
        )

    @property
    def is_retry(self) -> bool:
        return any(post.is_retry for post in self.posts)

    @property
    def kind(self) -> Hashable:
        """Only posts of one kind share a request."""
        # A person waits for what was asked for: an answer about fewer posts comes sooner.
        is_asked = any(post.work_class == Priority.ASKED for post in self.posts)
        # What a post of another person says must not reach a person's channel.
        channel_owner = next((post.user_id for post in self.posts if post.is_hashtagged), None)
        rules = self.rules.request_kind(self.posts[0].user_id)
        return self.models, self.most_posts, is_asked, self.is_retry, self.is_probe, channel_owner, rules


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """`call.outcomes` are in the order of its posts."""

    request: TaggingRequest
    call: Call
    #: Of a part of a request: the whole of it.
    whole: Call | None = None

    @property
    def posts(self) -> tuple[ClaimedPost, ...]:
        return self.request.posts

    @property
    def batch_size(self) -> int:
        return len((self.whole or self.call).outcomes)

    @property
    def any_tagged(self) -> bool:
        return (self.whole or self.call).outcome.kind is Kind.TAGGED

    def singles(self) -> "list[FinishedRequest]":
        """A part for each post; the first one holds the request's cost."""
        calls = [self.call._replace(outcomes=(outcome,)) for outcome in self.call.outcomes]
        calls[1:] = [call._replace(usage=Usage()) for call in calls[1:]]
        pairs = zip(self.posts, calls, strict=True)
        return [
            FinishedRequest(replace(self.request, posts=(post,)), call, self.whole or self.call) for post, call in pairs
        ]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a turn starts. `wait`: seconds until the next look, None: no reason to look."""

    requests: tuple[TaggingRequest, ...] = ()
    claimed: bool = False
    wait: float | None = None
    notices: bool = False
