"""PURE but for the log: one outcome of one post as the columns of `posts` and of `metka_attempts`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from services.availability.model_names import fell_back
from services.llm.client import Call
from services.llm.outcomes import DOWN_KINDS, Outcome, Usage
from services.tagging.retry_policy import AskAgain, AttemptTrail, Decision, GiveUp, RetryAt, Tagged
from services.tags.text_equality import text_key
from storage.queue.claim import ClaimedPost, Priority

log = structlog.get_logger(__name__)

#: `failure_kind` of a post that needs no tags: none of its owner's tags fits, or tagging is off for its channel.
NONE_FITS, SWITCHED_OFF = "none_fits", "off"


@dataclass(frozen=True, slots=True)
class PostOutcome:
    post: ClaimedPost
    call: Call
    outcome: Outcome
    decision: Decision
    request_id: str
    with_usage: bool


def post_values(result: PostOutcome, now: datetime) -> dict[str, Any]:
    post, decision = result.post, result.decision
    faulted = result.outcome.kind in DOWN_KINDS or None
    if isinstance(decision, AskAgain):
        return {
            "tagging_attempts": post.attempts,
            "next_attempt_at": decision.at,
            "attempt_trail": decision.trail.to_json(),
            "after_fault": faulted,
            "waits_for_upstream": faulted,
        }
    if isinstance(decision, RetryAt):
        return {
            "tagging_status": "retrying",
            "tagging_attempts": post.attempts + decision.counts,
            "last_tagging_attempt": now,
            "tagging_error": decision.error,
            "next_attempt_at": decision.at,
            "attempt_trail": decision.trail.to_json(),
            "work_class": max(post.work_class, Priority.RETRY.value),
            "waits_for_upstream": None if decision.counts else True,
            "after_fault": faulted,
            "suspect": post.suspect or decision.suspect or None,
        }
    tried = {"last_tagging_attempt": now, "tagging_attempts": post.attempts + 1, **_kept(result)}
    if isinstance(decision, GiveUp):
        return {**failed_values(post, decision.kind, decision.error), **tried}
    return {**tagged_values(decision.tags, text_key(post.text or "")), **tried}


def _kept(result: PostOutcome) -> dict[str, Any]:
    """What outlives a post's tagging: that its text gave orders."""
    gave_orders = AttemptTrail.from_json(result.post.trail).gave_orders or result.outcome.gave_orders
    return {"attempt_trail": AttemptTrail(gave_orders=True).to_json()} if gave_orders else {}


def tagged_values(tags: Sequence[str], key: int) -> dict[str, Any]:
    kind = None if tags else NONE_FITS
    return {**through_values("success"), "tags": list(tags), "text_key": key, "failure_kind": kind}


def switched_off_values(post: ClaimedPost) -> dict[str, Any]:
    """Of a post whose tags are switched off by its owner's rules; it keeps those that it has."""
    values = through_values("success" if post.tags else "skipped")
    return values if post.tags else {**values, "failure_kind": SWITCHED_OFF}


def through_values(status: str) -> dict[str, Any]:
    return {**_OVER, "tagging_status": status, "tagging_error": None, "failure_kind": None, "nightly_retries": None}


def failed_values(post: ClaimedPost, kind: str, error: str) -> dict[str, Any]:
    """The columns of a post that is given up. It keeps the tags that it has: a failed /regen loses nothing."""
    status = "success" if post.tags else "failed"
    return {**_OVER, "tagging_status": status, "tagging_error": error, "failure_kind": kind}


_OVER: dict[str, Any] = {
    "next_attempt_at": None,
    "attempt_trail": None,
    "requested_at": None,
    "work_class": None,
    "waits_for_upstream": None,
    "after_fault": None,
    "suspect": None,
    "wants_new": None,
}


def attempt_row(result: PostOutcome) -> dict[str, Any]:
    call, outcome = result.call, result.outcome
    usage = call.usage if result.with_usage else Usage()
    return {
        "post_id": result.post.id,
        "request_id": result.request_id,
        "at": call.at,
        "model_asked": call.request.model,
        "model_answered": call.answered,
        "outcome": outcome.kind.value,
        "http_status": call.status,
        "seconds": round(call.seconds, 3),
        "error": outcome.reason or None,
        "ended": _ended(result.decision),
        "answer": outcome.excerpt.replace("\x00", "") if outcome.excerpt else None,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost": usage.cost,
    }


def _ended(decision: Decision) -> str | None:
    match decision:
        case Tagged():
            return "tagged"
        case GiveUp():
            return "failed"
        case RetryAt() if decision.counts:
            return "retrying"
        case _:
            return None


def log_outcome(result: PostOutcome, chain: Sequence[str]) -> None:
    call, outcome, decision = result.call, result.outcome, result.decision
    model = call.request.model
    fields = {"post_id": result.post.id, "model": model, "outcome": outcome.kind.value, "http": call.status}
    match decision:
        case Tagged() if fell_back(call.request.models, call.answered) or model != chain[0]:
            log.info("fallback", answered=call.answered, **fields)
        case Tagged():
            log.debug("tagged", seconds=round(call.seconds, 3), **fields)
        case AskAgain():
            log.info("retry", at=decision.at.isoformat() if decision.at else "now", error=outcome.reason, **fields)
        case RetryAt():
            log.info(
                "attempt_failed",
                at=decision.at.isoformat(),
                counts=decision.counts,
                error=outcome.reason,
                **fields,
            )
        case GiveUp():
            log.warning("post_failed", kind=decision.kind, error=outcome.reason, **fields)
