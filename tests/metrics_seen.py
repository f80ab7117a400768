"""Metrics that have seen something of everything, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence

from bot.monitoring.metrics import Metrics
from services.availability.circuit_breaker import Aside
from services.availability.provider_status import Quota
from services.llm.client import Call, Request
from services.llm.outcomes import Kind, Outcome, Usage
from services.metrics import MetricsSnapshot, ModelMetrics
from services.tagging.tagging_request import FinishedRequest, TaggingRequest
from storage.queue.claim import ClaimedPost
from tests.storage.rows import NOW

CHAIN = ("first/model", "second/model")


def call_of(
    model: str, *outcomes: Outcome, seconds: float = 1.0, usage: Usage | None = None, answered: str | None = None
) -> Call:
    """A request to the model, with a post for each outcome."""
    request = Request(tuple("text" for _ in outcomes), (model,))
    return Call(request, outcomes, answered or model, 200, seconds, usage or Usage(), NOW)


def finished(call: Call) -> FinishedRequest:
    """The request as the worker hands it on."""
    posts = (ClaimedPost(number, 1, "text", (), 0, 1, None, None, "t") for number, _ in enumerate(call.outcomes, 1))
    return FinishedRequest(TaggingRequest(tuple(posts), (call.request.model,)), call)


def everything_known(models: Sequence[str]) -> MetricsSnapshot:
    """A reading in which nothing is absent: the first model is set aside, the others wait for a probe."""
    half_open = (ModelMetrics(model, None, half_open=True, faults=3) for model in models[1:])
    return MetricsSnapshot(
        posts={"pending": 5, "failed": 3},
        due={"pending": 5, "retrying": 1},
        oldest_due={"pending": 61.5, "retrying": 0.0},
        leased=2,
        outbox_waiting=7,
        tagging_enabled=True,
        models=(ModelMetrics(models[0], Aside.DOWN, half_open=False, faults=4), *half_open),
        paused=Aside.DOWN,
        pause_ends=NOW,
        quota=Quota(50, 30, NOW),
    )


def exposed() -> bytes:
    """Everything that /metrics can say."""
    metrics = Metrics(CHAIN, "1.0")
    metrics.finished([finished(call_of(CHAIN[0], Outcome(Kind.TAGGED), usage=Usage(10, 5, 0.1)))])
    metrics.updated("message", "handled", 0.1)
    metrics.notified("failed", "sent")
    return metrics.render(everything_known(CHAIN))
