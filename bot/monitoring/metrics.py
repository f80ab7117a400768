from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import get_args

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

from services.availability.circuit_breaker import Aside
from services.llm.outcomes import Kind
from services.metrics import MetricsSnapshot, ModelMetrics
from services.notifications.outbox import NoticeKind
from services.tagging.tagging_request import FinishedRequest

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

REQUEST_BUCKETS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 8, 12, 20, 30, 45, 60)
UPDATE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
RESULTS = ("sent", "postponed", "refused", "unreachable")
#: The label of models outside the chain: their names have no bounds.
OTHER = "other"


class Metrics:
    """Counters of this process. `models` is the chain; its names become labels."""

    def __init__(self, models: Sequence[str], version: str) -> None:
        self._models = frozenset(models)
        # Creation times would double the number of series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        self._attempts = counter(
            "metka_attempts",
            "Posts asked about, by what came of it: one for each post in each request.",
            ["outcome", "model"],
        )
        self._requests = counter(
            "metka_requests",
            "Requests to the model provider; 'tagged' when any post of the request got tags.",
            ["model", "outcome"],
        )
        about = "Seconds that a request to the model provider took, failed ones included."
        self._request_seconds = histogram("metka_request_seconds", about, ["model"], buckets=REQUEST_BUCKETS)
        self._tokens = counter(
            "metka_tokens", "Tokens that the provider counted, by the model asked.", ["model", "kind"]
        )
        about = "Credits that requests cost as the provider says: US dollars at OpenRouter."
        self._cost = counter("metka_cost_dollars", about, ["model"])
        self._updates = counter("metka_updates", "Telegram updates whose handling ended.", ["type", "result"])
        about = "Seconds from taking an update up until its handling ended."
        self._update_seconds = histogram("metka_update_seconds", about, ["type"], buckets=UPDATE_BUCKETS)
        about = "Messages of the outbox, by what Telegram made of them."
        self._notifications = counter("metka_notifications", about, ["kind", "result"])
        Info("metka_build", "The version that runs.", registry=registry).info({"version": version})
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._begin(models)

    def _begin(self, models: Sequence[str]) -> None:
        """Create series at 0: a rate needs a value before the first increase."""
        for model in models:
            self._request_seconds.labels(model)
            self._cost.labels(model)
            for direction in ("prompt", "completion"):
                self._tokens.labels(model, direction)
            for outcome in Kind:
                self._attempts.labels(outcome.value, model)
                self._requests.labels(model, outcome.value)
        for notice in get_args(NoticeKind):
            for result in RESULTS:
                self._notifications.labels(notice, result)

    def finished(self, group: Sequence[FinishedRequest]) -> None:
        for call in (finished.call for finished in group):
            model = call.request.model if call.request.model in self._models else OTHER
            for outcome in call.outcomes:
                self._attempts.labels(outcome.kind.value, model).inc()
            self._requests.labels(model, call.outcome.kind.value).inc()
            self._request_seconds.labels(model).observe(call.seconds)
            self._tokens.labels(model, "prompt").inc(call.usage.prompt_tokens or 0)
            self._tokens.labels(model, "completion").inc(call.usage.completion_tokens or 0)
            self._cost.labels(model).inc(call.usage.cost or 0)

    def updated(self, update_type: str, result: str, seconds: float) -> None:
        self._updates.labels(update_type, result).inc()
        self._update_seconds.labels(update_type).observe(seconds)

    def notified(self, kind: NoticeKind, result: str) -> None:
        self._notifications.labels(kind, result).inc()

    def render(self, reading: MetricsSnapshot | None) -> bytes:
        return generate_latest(self.registry) + generate_latest(_Gauges(reading))


class _Gauges:
    def __init__(self, reading: MetricsSnapshot | None) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        return families(self._reading)


def families(reading: MetricsSnapshot | None) -> Iterator[Metric]:
    """The gauges of the installation. An unknown value has no sample."""
    yield _single(
        "metka_database_up", "1 while the database answers; without it there are no other gauges.", reading is not None
    )
    if reading is None:
        return
    yield _by("metka_posts", "Posts by status.", "status", reading.posts)
    yield _by("metka_queue_due", "Posts that are due now and in nobody's work.", "status", reading.due)
    yield _by(
        "metka_queue_oldest_due_seconds",
        "How long the longest-waiting due post has been due: since the time set for its next attempt, or else since"
        " it was last asked for, tried or stored. 0 when none is due. Bulk work (/retry, the nightly retry, an archive)"
        " is left out: it is to wait until all other is done.",
        "status",
        reading.oldest_due,
    )
    yield _single("metka_queue_leased", "Posts that a process is working on.", reading.leased)
    yield _single(
        "metka_outbox_waiting",
        "Messages to people who can be reached that are ready and not sent yet.",
        reading.outbox_waiting,
    )
    yield _single("metka_tagging_enabled", "0 when no key is set: nothing is tagged.", reading.tagging_enabled)
    yield from _of_models(reading.models)
    yield from _of_pause(reading)
    yield from _of_quota(reading)


def _of_models(models: Sequence[ModelMetrics]) -> Iterator[Metric]:
    aside = GaugeMetricFamily(
        "metka_model_aside",
        "1 while the model is set aside (its breaker is open), by reason.",
        labels=["model", "reason"],
    )
    for each in models:
        for reason in Aside:
            aside.add_metric([each.model, reason.value], float(each.aside is reason))
    yield aside
    half_open = {each.model: each.half_open for each in models}
    yield _by(
        "metka_model_half_open", "1 when the model's pause is over, but only a probe may go to it.", "model", half_open
    )
    yield _by(
        "metka_model_faults", "Faults of the model in a row.", "model", {each.model: each.faults for each in models}
    )


def _of_pause(reading: MetricsSnapshot) -> Iterator[Metric]:
    paused = {reason.value: reading.paused is reason for reason in Aside}
    yield _by("metka_paused", "1 while tagging as a whole is paused, by the most serious reason.", "reason", paused)
    ends = reading.pause_ends.timestamp() if reading.pause_ends else None
    yield _single(
        "metka_pause_ends_timestamp_seconds", "When the pause ends and a probe goes out. None: no pause.", ends
    )


def _of_quota(reading: MetricsSnapshot) -> Iterator[Metric]:
    quota = reading.quota
    yield _single(
        "metka_quota_limit",
        "Requests to free models allowed in a day (UTC). None: not known.",
        None if quota is None else quota.limit,
    )
    yield _single(
        "metka_quota_left", "What is left of them today. None: not known.", None if quota is None else quota.remaining
    )


def _single(name: str, about: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, about)
    if value is not None:
        family.add_metric([], float(value))
    return family


def _by(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
