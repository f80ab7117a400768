"""PURE: an outcome, a post and the time → what happens to the post next, as a value."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Self

from services.llm.outcomes import DOWN_KINDS, Kind, Outcome

LONGEST_BACKOFF = 3600.0
#: Seconds that a post on its last attempt waits for a sign that the provider serves others after it has failed.
LAST_DOUBT = 5.0
#: Seconds that a post waits at most while it is not known whether any post is served: then it is asked about again.
LONGEST_DOUBT = 300.0
#: Outcomes that say nothing of the post: it goes on, or waits, and nothing is counted.
NOT_THE_POSTS = frozenset({Kind.LIMITED, Kind.ACCOUNT, Kind.FORBIDDEN, Kind.MODEL_GONE, Kind.UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class Policy:
    """TAGGING_MAX_RETRIES, TAGGING_RETRY_DELAY, TAGGING_MAX_ATTEMPTS, TAGGING_BACKOFF_SECONDS."""

    max_retries: int = 3
    retry_delay: float = 2.0
    max_attempts: int = 5
    backoff_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class AttemptTrail:
    """The attempt under way: counted models asked, delayed retries so far, whether all outcomes were refusals.

    `refused` outlives an attempt: a model that refused the post is never asked about it again.
    """

    asked: tuple[str, ...] = ()
    delays: int = 0
    refused: tuple[str, ...] = ()
    only_refusals: bool = True
    answered: bool = False
    started_at: datetime | None = None
    #: How many posts the next request may be about at most; None: no limit but the batch size.
    together: int | None = None
    #: The text put its tags on other posts. It outlives the tags: an edit alone ends it.
    gave_orders: bool = False

    def to_json(self) -> dict[str, Any] | None:
        if not self.asked and not self.refused and self.together is None and not self.gave_orders:
            return None
        return {
            "asked": list(self.asked),
            "delays": self.delays,
            "refused": list(self.refused),
            "only_refusals": self.only_refusals,
            "answered": self.answered,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "together": self.together,
            "gave_orders": self.gave_orders,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """A value that cannot be read is an attempt that has just begun."""
        if not isinstance(value, dict):
            return cls()
        try:
            started, together = value.get("started_at"), value.get("together")
            return cls(
                asked=tuple(map(str, value.get("asked", ()))),
                delays=int(value.get("delays", 0)),
                refused=tuple(map(str, value.get("refused", ()))),
                only_refusals=bool(value.get("only_refusals", True)),
                answered=bool(value.get("answered", False)),
                started_at=datetime.fromisoformat(started) if started else None,
                together=max(1, int(together)) if together else None,
                gave_orders=value.get("gave_orders") is True,
            )
        except (TypeError, ValueError):
            return cls()


@dataclass(frozen=True, slots=True)
class Tagged:
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The attempt goes on: at once (`at` None) or later. The post keeps its status and its place."""

    at: datetime | None
    trail: AttemptTrail


@dataclass(frozen=True, slots=True)
class RetryAt:
    """The attempt failed; another one follows.

    `counts`: it used up one of TAGGING_MAX_ATTEMPTS. Otherwise it is in doubt, and counts once the provider has served
    another post since (`settled_attempts`).
    `suspect`: others were served after the post had failed, so its faults may be its own.
    """

    at: datetime
    error: str
    counts: bool
    trail: AttemptTrail
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The post failed: 'refused' by every model, or its attempts are 'exhausted'."""

    kind: str
    error: str


Decision = Tagged | AskAgain | RetryAt | GiveUp


@dataclass(frozen=True, slots=True)
class Upstream:
    """The models that are not gone, whether none may be asked, the last success of any post, and whether only suspects
    have met faults since then.
    """

    models: Collection[str]
    is_down: bool
    last_success_at: datetime | None
    only_suspects_fail: bool = False

    def served_since(self, moment: datetime) -> bool:
        return self.last_success_at is not None and self.last_success_at >= moment


def retry_delay(policy: Policy, retry: int, random: Random) -> float:
    """Seconds before the n-th delayed retry of an attempt (from 0): TAGGING_RETRY_DELAY·2ⁿ ± 20 %."""
    return policy.retry_delay * 2.0 ** min(retry, 30) * random.uniform(0.8, 1.2)


def backoff(policy: Policy, attempts: int, random: Random) -> float:
    """Seconds before the next attempt after `attempts` failed ones (from 1): doubling to an hour, ± 20 %."""
    seconds = min(LONGEST_BACKOFF, policy.backoff_seconds * 2.0 ** min(max(attempts, 1) - 1, 30))
    return seconds * random.uniform(0.8, 1.2)


def settled_attempts(attempts: int, doubted_since: datetime | None, last_success_at: datetime | None) -> int:
    served = doubted_since is not None and last_success_at is not None and last_success_at > doubted_since
    return attempts + served


def decide(
    attempts: int,
    trail: AttemptTrail,
    model: str,
    outcome: Outcome,
    upstream: Upstream,
    policy: Policy,
    began: datetime,
    now: datetime,
    random: Random,
    *,
    batch_size: int = 1,
    any_tagged: bool = False,
) -> Decision:
    """What an outcome means for a post that has had `attempts` counted attempts and `trail` in this one.

    `began`: when the request started; `any_tagged`: the answer gave tags to a post of the request.
    """
    if outcome.kind is Kind.TAGGED:
        return Tagged(outcome.tags)
    if outcome.kind in NOT_THE_POSTS:
        return AskAgain(None, trail)
    trail = replace(trail, gave_orders=trail.gave_orders or outcome.gave_orders)
    together = 1 if outcome.alone else _together_next(trail, outcome.kind, batch_size, any_tagged=any_tagged)
    if outcome.kind is Kind.REFUSED and batch_size > 1:
        # One of them is refused, nobody knows which: it says nothing of this one.
        return AskAgain(None, replace(trail, together=together))
    trail = replace(_extend(trail, model, outcome, began), together=together)
    error = f"{outcome.reason} ({model})"
    if outcome.kind is Kind.REFUSED and set(upstream.models) <= set(trail.refused):
        return GiveUp("refused", error)
    if len(trail.asked) <= policy.max_retries:
        return _next_request(trail, outcome, policy, now, random)
    return _end_attempt(attempts, trail, error, upstream, policy, began, now, random)


def _together_next(trail: AttemptTrail, kind: Kind, batch_size: int, *, any_tagged: bool) -> int | None:
    """How many posts may share the next request about this one, itself included.

    A refusal is narrowed down by halves. A batch that failed as a whole goes once more as a whole; then by halves after
    an upstream fault, one by one after an unreadable answer. A post that an answer left out goes alone at once.
    """
    if batch_size == 1:
        return trail.together
    if kind is Kind.MALFORMED:
        return 1 if any_tagged or trail.together else batch_size
    if kind is Kind.REFUSED or trail.together:
        return (batch_size + 1) // 2
    return batch_size


def _extend(trail: AttemptTrail, model: str, outcome: Outcome, began: datetime) -> AttemptTrail:
    refused = outcome.kind is Kind.REFUSED
    return replace(
        trail,
        asked=(*trail.asked, model),
        refused=(*trail.refused, model) if refused else trail.refused,
        only_refusals=trail.only_refusals and refused,
        answered=trail.answered or outcome.kind in {Kind.MALFORMED, Kind.REFUSED},
        started_at=trail.started_at or began,
    )


def _next_request(trail: AttemptTrail, outcome: Outcome, policy: Policy, now: datetime, random: Random) -> AskAgain:
    if outcome.kind not in DOWN_KINDS:
        return AskAgain(None, trail)
    at = now + timedelta(seconds=retry_delay(policy, trail.delays, random))
    return AskAgain(at, replace(trail, delays=trail.delays + 1))


def _end_attempt(
    attempts: int,
    trail: AttemptTrail,
    error: str,
    upstream: Upstream,
    policy: Policy,
    began: datetime,
    now: datetime,
    random: Random,
) -> Decision:
    served_after = upstream.served_since(trail.started_at or began)
    is_own = upstream.only_suspects_fail and not upstream.is_down
    is_last = attempts + 1 >= policy.max_attempts
    # What no answer about several posts was usable for goes alone from now on.
    alone = trail.together is not None and trail.answered
    kept = AttemptTrail(refused=trail.refused, gave_orders=trail.gave_orders)
    retry = partial(RetryAt, error=error, trail=kept, suspect=served_after or alone)
    wait = backoff(policy, attempts + 1, random)
    if not (trail.answered or is_own or (served_after and not upstream.is_down and not is_last)):
        # What was served before this failure says nothing of an outage that may just have begun.
        wait = min(wait, LAST_DOUBT if served_after else LONGEST_DOUBT)
        return retry(now + timedelta(seconds=wait), counts=False)
    if is_last:
        return GiveUp("refused" if trail.only_refusals else "exhausted", error)
    return retry(now + timedelta(seconds=0.0 if trail.only_refusals else wait), counts=True)
