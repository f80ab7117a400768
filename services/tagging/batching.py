"""PURE: which posts go out in one request."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from services.llm.prompts import estimated_tokens
from services.tagging.retry_policy import Trail
from storage.queue.claim import ClaimedPost, Priority

#: Of the posts' texts in one request. Small free models have room for 8,192 with the rules and the answer.
TOKENS_A_REQUEST = 5000


class Candidate(NamedTuple):
    """A claimed post, the models to send it to, and how many posts may share its request at most."""

    post: ClaimedPost
    models: tuple[str, ...]
    most: int
    is_probe: bool = False
    #: `services.tags.reuse.Worth.key`.
    key: int | None = None

    @property
    def kind(self) -> Hashable:
        """Only posts of one kind go together."""
        # A person waits for what was asked for: an answer about fewer posts comes sooner.
        is_asked = self.post.work_class == Priority.ASKED
        return self.models, self.most, is_asked, self.post.is_retry, self.is_probe


def most_together(post: ClaimedPost, trail: Trail, batch_size: int) -> int:
    """How many posts may share the next request about this one."""
    # What fails where others are served must not take others with it.
    return 1 if post.suspect else min(batch_size, trail.together or batch_size)


def batches(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """The candidates by kind, in requests as full as allowed, in the order of each request's first post."""
    kinds: dict[Hashable, list[Candidate]] = {}
    for candidate in candidates:
        kinds.setdefault(candidate.kind, []).append(candidate)
    place = {candidate.post.id: number for number, candidate in enumerate(candidates)}
    found = [batch for kind in kinds.values() for batch in _filled(kind)]
    return sorted(found, key=lambda batch: place[batch[0].post.id])


def _filled(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    batch: list[Candidate] = []
    tokens = 0
    for candidate in candidates:
        # One that goes alone goes whatever its length.
        size = estimated_tokens(candidate.post.text or "") if candidate.most > 1 else 0
        if batch and (len(batch) == candidate.most or tokens + size > TOKENS_A_REQUEST):
            yield batch
            batch, tokens = [], 0
        batch.append(candidate)
        tokens += size
    if batch:
        yield batch
