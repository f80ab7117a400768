"""The rules of the queue once more, over plain values: what a post must be after each thing that can happen to it.

Nothing here knows of SQL. Which posts a worker picks, and which models are set aside, the model is told.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.llm.outcomes import DOWN_KINDS, Kind, Outcome
from services.tagging.retry_policy import Policy

CHAIN = ("first/model", "second/model")
POLICY = Policy(max_retries=1, retry_delay=2, max_attempts=2, backoff_seconds=60)
LEASE = timedelta(seconds=300)
LONGEST_WAIT = timedelta(hours=1) * 1.2
SHORTEST_WAIT = timedelta(seconds=4)
NIGHTS, NIGHTLY_FOR = 3, timedelta(days=7)
QUEUED = ("pending", "retrying")
NOT_THE_POSTS = {Kind.LIMITED, Kind.ACCOUNT, Kind.FORBIDDEN, Kind.MODEL_GONE}


def own_tags(text: str) -> tuple[str, ...]:
    """The tags that any model gives that text, and no other."""
    return (f"о {text}",)


@dataclass(eq=False)
class Claim:
    """A worker's hold on a post, and the text that it asks about."""

    post_id: int
    token: str
    text: str
    models: tuple[str, ...]
    attempts: int
    began: datetime
    until: datetime


@dataclass
class Post:
    """What must be true of a row."""

    id: int
    user: int
    text: str | None
    tags: tuple[str, ...]
    status: str = "pending"
    attempts: int = 0
    has_error: bool = False
    kind: str | None = None
    nights: int = 0
    #: Due not before and not after; None: at once.
    due: tuple[datetime, datetime] | None = None
    asked_for: datetime | None = None
    tried: datetime | None = None
    #: The attempt under way: requests that counted, whether a model answered, whether all refused.
    requests: int = 0
    answered: bool = False
    only_refused: bool = True
    refused: frozenset[str] = frozenset()
    #: It waits for the upstream; `doubt`: since its last attempt, which may have been none of its own.
    waits: bool = False
    doubt: datetime | None = None
    by_person: bool = False
    undo: str = "pending"
    claim: Claim | None = None
    #: Attempts that people and nights gave it beyond the limit.
    granted: int = 0
    texts: set[str] = field(default_factory=set)

    @property
    def is_blank(self) -> bool:
        """Nothing to tag."""
        return not (self.text or "").strip()

    def is_free(self, now: datetime) -> bool:
        """Under no live lease."""
        return self.claim is None or self.claim.until <= now

    def is_due(self, now: datetime) -> bool:
        """A worker may take it."""
        return self.status in QUEUED and self.is_free(now) and (self.due is None or self.due[0] <= now)

    def forget_attempt(self, *, refusals: bool = True) -> None:
        """Nothing is left of the attempt under way."""
        self.requests, self.answered, self.only_refused = 0, False, True
        self.waits, self.doubt = False, None
        self.refused = frozenset() if refusals else self.refused

    def at_once(self) -> None:
        """Somebody wants it now: a request that was lost meanwhile has no say any more."""
        self.forget_attempt()
        self.due, self.claim = None, None

    def anew(self) -> None:
        """All attempts again."""
        self.at_once()
        self.attempts, self.granted, self.nights, self.kind = 0, 0, 0, None


@dataclass
class Batch:
    """A /retry: what its posts were before."""

    at: datetime
    before: dict[int, Post]
    stopped: bool = False


@dataclass(frozen=True)
class ProviderSeen:
    """Which models are gone, and whether nobody may be asked freely."""

    paused: bool
    gone: frozenset[str]


@dataclass
class Model:
    """All posts, and when any post last got its tags."""

    posts: dict[int, Post] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    served: dict[int, datetime] = field(default_factory=dict)
    latest_reset: datetime | None = None

    # What the parser does.

    def insert(self, post_id: int, user: int, text: str | None, tags: tuple[str, ...]) -> None:
        """A plain INSERT."""
        self.posts[post_id] = Post(post_id, user, text, tags, texts={text} if text else set())

    def edit(self, post_id: int, text: str | None, now: datetime) -> None:
        """A text is changed: tagged anew, unless a person skipped it or nothing is left to tag."""
        post = self.posts[post_id]
        if text == post.text:
            return
        post.text = text
        post.texts |= {text} if text else set()
        if post.by_person and post.status == "skipped":
            return
        if not post.is_blank:
            post.anew()
            post.status, post.asked_for, post.has_error, post.by_person = "pending", now, False, False
        elif not post.tags:
            post.at_once()
            post.status, post.asked_for, post.kind, post.nights = "skipped", None, None, 0
            post.has_error, post.by_person = False, False

    def delete(self, post_id: int) -> None:
        """The parser deletes what it likes."""
        del self.posts[post_id]
        self.served.pop(post_id, None)
        for batch in self.batches.values():
            batch.before.pop(post_id, None)

    # What workers do.

    def settled_attempts(self, post: Post) -> int:
        """Attempts, with the one in doubt if the upstream served another post since."""
        last = max(self.served.values(), default=None)
        return post.attempts + (post.doubt is not None and last is not None and last > post.doubt)

    def without_request(self, post: Post, upstream: ProviderSeen, now: datetime) -> Post | None:
        """What a claimed post becomes that no model has to see; None when one has to."""
        attempts = self.settled_attempts(post)
        settled = replace(post, attempts=attempts, claim=None, due=None)
        if post.is_blank or (post.tags and post.asked_for is None):
            settled.attempts = post.attempts
            settled.forget_attempt()
            settled.status, settled.asked_for = "success" if post.tags else "skipped", None
            settled.has_error, settled.kind, settled.nights = False, None, 0
            return settled
        present = set(CHAIN) - upstream.gone
        if attempts > post.attempts and attempts >= POLICY.max_attempts:
            return _failed(settled, "exhausted", now)
        return _failed(settled, "refused", now) if post.refused and present <= post.refused else None

    def claimed(self, claim: Claim) -> None:
        """A worker asks about the post."""
        post = self.posts[claim.post_id]
        claim.attempts, post.claim = self.settled_attempts(post), claim

    def answered(self, answers: list[tuple[Claim, Outcome]], upstream: ProviderSeen, now: datetime) -> None:
        """A group of outcomes; what came of a claim that stands no more, or of another text, is dropped."""
        tagged = [claim.post_id for claim, outcome in answers if outcome.kind is Kind.TAGGED]
        last = now if tagged else max(self.served.values(), default=None)
        self.served.update({post_id: now for post_id in tagged if post_id in self.posts})
        for claim, outcome in answers:
            post = self.posts.get(claim.post_id)
            if post is not None and post.claim is claim and post.text == claim.text:
                post.claim, post.doubt, post.attempts = None, None, claim.attempts
                served = not upstream.paused and last is not None and last >= claim.began
                _apply(post, claim, outcome, set(CHAIN) - upstream.gone, served, now)

    # What people ask for.

    def regen(self, post_id: int, now: datetime) -> None:
        """New tags; the old ones stand until they come. A post in a request gets them anyway."""
        post = self.posts[post_id]
        if post.is_free(now):
            post.anew()
            post.status, post.asked_for, post.by_person = "pending", now, False

    def retry(self, post_id: int, now: datetime, *, force: bool) -> None:
        """One more attempt for a post that has not got what was asked for."""
        post = self.posts[post_id]
        unfinished = post.status in (*QUEUED, "failed") or (post.status == "success" and post.has_error)
        if unfinished and post.is_free(now):
            post.granted += post.status not in QUEUED
            post.anew() if force else post.at_once()
            post.status, post.asked_for = "pending", now

    def retry_all(
        self, user: int | None, limit: int, now: datetime, *, force: bool, picked: Collection[int]
    ) -> Batch | None:
        """Failed posts get one more attempt, waiting ones are due: failed first, then retrying, then pending ones.

        Args:
            picked: the posts that the queue took; among those of one status its own order decides.
        """
        order = ("failed", "retrying", "pending")
        mine = [post for post in self.posts.values() if user in (None, post.user) and post.status in order]
        fit = [post for post in mine if not post.is_blank and post.is_free(now)]
        ranked = sorted(fit, key=lambda post: order.index(post.status))[:limit]
        chosen = [post for post in fit if post.id in picked]
        assert sorted(post.status for post in chosen) == sorted(post.status for post in ranked), "picked out of order"
        batch = Batch(now, {post.id: replace(post) for post in chosen})
        for post in chosen:
            if force or post.status == "failed":
                post.granted += post.status == "failed"
                post.anew() if force else post.at_once()
            else:
                post.due, post.waits, post.doubt = None, False, None
            post.status = "pending" if post.status == "failed" else post.status
        return batch if chosen else None

    def stop(self, batch: Batch, now: datetime) -> None:
        """What the batch has not tried yet, and nobody asked for since, is as it was."""
        for post_id, before in batch.before.items() if not batch.stopped else ():
            post = self.posts[post_id]
            tried = post.tried is not None and post.tried >= batch.at
            wanted = post.asked_for is not None and post.asked_for >= batch.at
            if post.status in QUEUED and not tried and not wanted and post.is_free(now):
                post.status, post.due, post.attempts = before.status, before.due, before.attempts
                post.granted, post.claim = before.granted, None
        batch.stopped = True

    def skip(self, post_id: int) -> None:
        """A person wants no tags for it."""
        post = self.posts[post_id]
        if post.status in (*QUEUED, "failed"):
            post.undo = "failed" if post.status == "failed" else "pending"
            post.at_once()
            post.status, post.by_person = "skipped", True

    def unskip(self, post_id: int) -> None:
        """As it was: failed, or in the queue."""
        post = self.posts[post_id]
        if post.status == "skipped" and post.by_person:
            post.status, post.by_person = post.undo, False

    def nightly(self, now: datetime) -> None:
        """Failed posts of the last days get one more attempt, three nights each, unless all models refuse them."""
        for post in self.posts.values():
            lately = post.tried is None or post.tried >= now - NIGHTLY_FOR
            if post.status == "failed" and post.kind != "refused" and post.nights < NIGHTS and lately:
                post.at_once()
                post.status, post.nights, post.granted = "pending", post.nights + 1, post.granted + 1


def _apply(post: Post, claim: Claim, outcome: Outcome, present: set[str], served: bool, now: datetime) -> None:
    """What an outcome makes of a post."""
    post.waits = outcome.kind in DOWN_KINDS
    if outcome.kind is Kind.TAGGED:
        post.forget_attempt()
        post.status, post.tags, post.attempts = "success", outcome.tags, post.attempts + 1
        post.has_error, post.kind, post.nights = False, None, 0
        post.due, post.asked_for, post.tried = None, None, now
        return
    if outcome.kind in NOT_THE_POSTS:
        post.due = None
        return
    is_refused = outcome.kind is Kind.REFUSED
    post.requests += 1
    post.answered = post.answered or outcome.kind in {Kind.REFUSED, Kind.MALFORMED}
    post.only_refused = post.only_refused and is_refused
    post.refused |= {claim.models[0]} if is_refused else set()
    if is_refused and present <= post.refused:
        post.attempts += 1
        vars(post).update(vars(_failed(post, "refused", now)))
    elif post.requests <= POLICY.max_retries:
        pause = timedelta(seconds=POLICY.retry_delay) * 2 ** (post.requests - 1)
        post.due = (now + pause * 0.8, now + pause * 1.2) if post.waits else None
    else:
        _end_attempt(post, served, now)


def _end_attempt(post: Post, served: bool, now: datetime) -> None:
    """The attempt failed. Without an answer of any model it is the post's own only if others were served; and the
    last one not before somebody was served after it."""
    is_last = post.attempts + 1 >= POLICY.max_attempts
    is_own = post.answered or (served and not is_last)
    if is_own and is_last:
        post.attempts += 1
        vars(post).update(vars(_failed(post, "refused" if post.only_refused else "exhausted", now)))
        return
    pause = timedelta(seconds=POLICY.backoff_seconds) * 2**post.attempts
    shortest = timedelta(0) if post.only_refused else min(SHORTEST_WAIT, pause * 0.8)
    post.forget_attempt(refusals=False)
    post.status, post.has_error, post.tried = "retrying", True, now
    post.due = (now + shortest, now + min(LONGEST_WAIT, pause * 1.2))
    post.attempts += is_own
    post.waits, post.doubt = not is_own, None if is_own else now


def _failed(post: Post, kind: str, now: datetime) -> Post:
    """Failed, with the reason; a post that has tags keeps them, and stays a success."""
    failed = replace(post, status="success" if post.tags else "failed", kind=kind, has_error=True, tried=now)
    failed.forget_attempt()
    failed.due, failed.asked_for, failed.claim = None, None, None
    return failed
