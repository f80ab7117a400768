"""A model provider that costs next to nothing: OpenAI's format, OpenRouter's `models`, and what a benchmark plans.

    python -m benchmarks.standins.provider

prints its port. POST /bench/plan (a `Plan`) forgets what was, POST /bench/release lets held answers go,
/bench/counts and /bench/report tell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from benchmarks.posts import asked, tags_of
from benchmarks.standins.faults import Deck, Json, error, fault, tagged
from benchmarks.standins.http import Reply, Request, serve_for_ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to happen. `held`: nothing is answered until the release. `openrouter`: `models` is understood."""

    latency: float = 0.0
    fault_rate: float = 0.0
    seed: int = 1
    dead: tuple[str, ...] = ()
    openrouter: bool = True
    held: bool = False


@dataclass(slots=True)
class Report:
    """What happened since the plan was made; times are the monotonic clock's, which all processes share."""

    requests: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    first_arrival: float = 0.0
    released_at: float = 0.0
    last_answer: float = 0.0
    #: Of requests that were answered well: when, the seconds it took, the posts it was about.
    served: list[tuple[float, float, int]] = field(default_factory=list)
    #: The first body that came, and the stand-in's own processor time.
    example: Json = field(default_factory=dict)
    cpu_seconds: float = 0.0

    @property
    def posts(self) -> int:
        """Posts in all requests that were answered well."""
        return sum(posts for _, _, posts in self.served)

    @property
    def mean_latency(self) -> float:
        """Seconds from a request's arrival to its answer, of those that were answered well."""
        return sum(seconds for _, seconds, _ in self.served) / max(1, len(self.served))


class ProviderStandIn:
    """Handles one request after another. Tags are made from the marker in each post's text."""

    def __init__(self) -> None:
        self._start_over(Plan())

    def _start_over(self, plan: Plan) -> None:
        self._plan = plan
        self._deck = Deck(plan.fault_rate, plan.seed)
        self._report = Report()
        self._posts = 0
        self._cpu = time.process_time()
        self._held: list[Callable[[], None]] = []
        self._is_held = plan.held

    def handle(self, request: Request, reply: Reply) -> None:
        """Answer, now or when the latency is over."""
        if request.path.startswith("/bench/"):
            self._control(request, reply)
        elif request.path.endswith("/chat/completions"):
            self._completions(request.json(), reply)
        elif request.path.endswith("/key") and self._plan.openrouter:
            reply({"data": {"label": "benchmark", "limit": None, "usage": 0, "is_free_tier": False}})
        else:
            reply(error(404, "Not Found"), 404)

    def _control(self, request: Request, reply: Reply) -> None:
        match request.path.removeprefix("/bench/"):
            case "plan":
                self._start_over(Plan(**request.json()))
                reply({})
            case "release":
                self._release()
                reply({})
            case "counts":
                report = self._report
                answered = sum(report.outcomes.values())
                reply({"requests": report.requests, "answered": answered, "posts": self._posts})
            case _:
                self._report.cpu_seconds = time.process_time() - self._cpu
                reply(asdict(self._report))

    def _release(self) -> None:
        self._is_held = False
        self._report.released_at = time.monotonic()
        for answer in self._held:
            answer()
        self._held.clear()

    def _completions(self, body: Json, reply: Reply) -> None:
        now, report = time.monotonic(), self._report
        report.requests += 1
        report.example = report.example or body
        report.first_arrival = report.first_arrival or now
        answer = partial(self._answer, body, reply, now, report)
        if self._is_held:
            self._held.append(answer)
        elif self._plan.latency:
            asyncio.get_running_loop().call_later(self._plan.latency, answer)
        else:
            answer()

    def _answer(self, body: Json, reply: Reply, arrived: float, report: Report) -> None:
        value, status, outcome, posts = self._decide(body)
        reply(value, status)
        report.last_answer = time.monotonic()
        report.outcomes[outcome] = report.outcomes.get(outcome, 0) + 1
        if outcome == "ok":
            report.served.append((report.last_answer, report.last_answer - arrived, posts))
            self._posts += posts

    def _decide(self, body: Json) -> tuple[Json, int, str, int]:
        models = [body["model"], *(body.get("models") or [] if self._plan.openrouter else [])]
        model = next((name for name in models if name not in self._plan.dead), None)
        name = "http_503" if model is None else self._deck.deal()
        if name is not None or model is None:
            value, status = fault(name or "http_503", models[0])
            return value, status, "dead" if model is None else str(name), 0
        posts = [(number, tags_of(mark)) for number, mark in asked(body["messages"][-1]["content"])]
        return tagged(model, posts, single=_is_single(body, len(posts))), 200, "ok", len(posts)


def _is_single(body: Json, posts: int) -> bool:
    schema: Any = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema") or {}
    wanted = schema.get("properties") or {}
    return "tags" in wanted or (posts == 1 and "posts" not in wanted)


if __name__ == "__main__":
    asyncio.run(serve_for_ever(ProviderStandIn().handle))
