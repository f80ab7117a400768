"""PURE but for the log: what one request meant for one post, as the columns of its row and of `metka_attempts`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from services.availability.circuit_breaker import fell_back
from services.llm.client import Call
from services.llm.response_classifier import DOWN_KINDS, Outcome, Usage
from services.tagging.retry_policy import AskAgain, Decision, GiveUp, RetryAt, Tagged
from services.tags.text_equality import text_key
from storage.queue.claim import ClaimedPost, Priority

log = structlog.get_logger(__name__)


class Verdict(NamedTuple):
    """What a request gave a post, and what follows. `with_usage`: this post's row tells what the request cost."""

    post: ClaimedPost
    call: Call
    outcome: Outcome
    decision: Decision
    request_id: str
    with_usage: bool
    #: Of the post's text, if it is known already.
    text_key: int | None = None


def post_values(verdict: Verdict, now: datetime) -> dict[str, Any]:
    """The columns of `posts` that a verdict sets."""
    post, decision = verdict.post, verdict.decision
    faulted = verdict.outcome.kind in DOWN_KINDS or None
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
    tried = {"last_tagging_attempt": now, "tagging_attempts": post.attempts + 1}
    if isinstance(decision, GiveUp):
        return {**tried, **failed_values(post, decision.kind, decision.error)}
    key = text_key(post.text or "") if verdict.text_key is None else verdict.text_key
    return {**tried, **tagged_values(decision.tags, key)}


def tagged_values(tags: Sequence[str], key: int) -> dict[str, Any]:
    """The columns of a post that has its tags, for the text of that key."""
    return {**through_values("success"), "tags": list(tags), "text_key": key}


def through_values(status: str) -> dict[str, Any]:
    """The columns of a post that is through, and has not failed."""
    return {**_OVER, "tagging_status": status, "tagging_error": None, "failure_kind": None, "nightly_retries": None}


def failed_values(post: ClaimedPost, kind: str, error: str) -> dict[str, Any]:
    """The columns of a post that is given up. Tags that it has stand: a failed wish for new ones loses nothing."""
    status = "success" if post.tags else "failed"
    return {**_OVER, "tagging_status": status, "tagging_error": error, "failure_kind": kind}


#: Nothing is left of the work on a post.
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


def attempt_row(verdict: Verdict) -> dict[str, Any]:
    """The row of `metka_attempts`."""
    call, outcome = verdict.call, verdict.outcome
    usage = call.usage if verdict.with_usage else Usage()
    return {
        "post_id": verdict.post.id,
        "request_id": verdict.request_id,
        "at": call.at,
        "model_asked": call.request.model,
        "model_answered": call.answered,
        "outcome": outcome.kind.value,
        "http_status": call.status,
        "seconds": round(call.seconds, 3),
        "error": outcome.reason or None,
        "ended": _ended(verdict.decision),
        "answer": outcome.excerpt.replace("\x00", "") if outcome.excerpt else None,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost": usage.cost,
    }


def _ended(decision: Decision) -> str | None:
    """How the attempt ended for `metka_attempts.ended`."""
    match decision:
        case Tagged():
            return "tagged"
        case GiveUp():
            return "failed"
        case RetryAt() if decision.counts:
            return "retrying"
        case _:
            return None


def log_verdict(verdict: Verdict, chain: Sequence[str]) -> None:
    """One line, of a level that fits."""
    call, outcome, decision = verdict.call, verdict.outcome, verdict.decision
    model = call.request.model
    fields = {"post_id": verdict.post.id, "model": model, "outcome": outcome.kind.value, "http": call.status}
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
