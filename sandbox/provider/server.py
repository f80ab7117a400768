"""The provider over HTTP: OpenAI's API with OpenRouter's extensions."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.provider.control import add_control_routes
from sandbox.provider.exchange import Exchange, answer, error
from sandbox.provider.faults import FAULTS, NOT_AN_ERROR, platform_limit
from sandbox.provider.finding import KnownTexts, Question, read_question, user_message
from sandbox.provider.obedience import Obedience
from sandbox.provider.plan import FaultPlan, Script, checked
from sandbox.provider.similar import similar_pairs
from sandbox.provider.tags import CUT, expected_tags

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _beginning(text: str) -> str:
    return text.strip()[:CUT].rstrip()


@dataclass
class RequestRecord:
    """One chat/completions request; `at` is monotonic, `outcome` 'ok' or the fault's name."""

    at: float
    model: str
    models: list[str]
    body: Json
    headers: dict[str, str]
    outcome: str
    answered_by: str | None = None
    seconds: float | None = None
    #: Bytes of an endless answer that were sent.
    sent: int = 0

    def count(self, size: int) -> None:
        """Add bytes that were sent."""
        self.sent += size

    @property
    def message(self) -> str:
        """The user message."""
        return user_message(self.body)


class ProviderSandbox:
    """An OpenAI-compatible server that tags each post with `expected_tags`, unless a fault is planned.

    With `openrouter=False` it has no /key, ignores `models`, and answers 400 to fields named in `refuses`.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        models: Collection[str] | None = None,
        openrouter: bool = True,
        refuses: Collection[str] = (),
        latency: float = 0.0,
        requests_per_minute: int | None = None,
        requests_per_day: int | None = None,
    ) -> None:
        self.api_key = api_key
        self.models = models
        self.openrouter = openrouter
        self.refuses = set(refuses)
        self.latency = latency
        #: Answers one request after the other, also to those who have gone meanwhile, as a local server does.
        self.is_serial = False
        self.requests_per_minute = requests_per_minute
        self.requests_per_day = requests_per_day
        self.hang_seconds = 3600.0
        self.slow_seconds = 1.0
        self.reset_after = 1.0
        self.redirect_to = "http://127.0.0.1:9/elsewhere"
        self.requests: list[RequestRecord] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.url = ""
        #: Tags that mean the same, as it answers when it is asked for such pairs.
        self.similar: list[tuple[str, str]] = []
        self.script = Script()
        self.obedience = Obedience()
        #: Every address answers 503, not only chat/completions.
        self.is_away = False
        #: GET requests to /models and /key.
        self.looks = 0
        self.served_today = 0
        self._known = KnownTexts()
        self._answers: dict[str, list[str]] = {}
        self._learnt: dict[str, list[str]] = {}
        self._minute: deque[float] = deque()
        self._free_at = 0.0
        self._open = asyncio.Event()
        self._open.set()

    # -- planned faults -------------------------------------------------------------------------------------

    @property
    def faults(self) -> FaultPlan:
        """The random faults."""
        return self.script.random

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self.script.random = plan

    def learn(self, *texts: str) -> None:
        """Add posts' texts, which are then found in any prompt."""
        for text in texts:
            self._known.learn(text)

    def learn_tags(self, tags: Mapping[str, Sequence[str]]) -> None:
        """Give these texts these tags, instead of their `expected_tags`."""
        self._learnt |= {_beginning(text): list(values) for text, values in tags.items()}

    def plan_for(self, text_marker: str, name: str, times: int | None = None) -> None:
        """Requests whose user message contains `text_marker` get this fault, `times` times (None: always)."""
        self.script.add_post(text_marker, name, times)

    def answer(self, text_marker: str, *tags: str) -> None:
        """Posts whose text contains `text_marker` get these tags."""
        self._answers[text_marker] = list(tags)

    def forget_plan(self, text_marker: str) -> None:
        """End a `plan_for`."""
        self.script.forget_post(text_marker)

    def model_fault(self, model: str, name: str | None) -> None:
        """A model always fails with this fault; None ends that."""
        self.script.models.pop(model, None)
        if name is not None:
            self.script.models[model] = checked([name])[0]

    def queue(self, *names: str | None) -> None:
        """The faults of the next requests, in order; None is a correct answer."""
        checked(name for name in names if name is not None)
        self.script.next.extend(names)

    def hold(self) -> None:
        """Answer nothing until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Answer again."""
        self._open.set()

    def clear(self) -> None:
        """Remove all planned faults and orders."""
        self.script = Script()
        self.obedience = Obedience()

    # -- the server -----------------------------------------------------------------------------------------

    def make_app(self, prefix: str = "/api/v1") -> web.Application:
        """`{prefix}/chat/completions`, `/key` and `/models`, also under /v1; the control under /sandbox/."""
        app = web.Application(client_max_size=20 * 2**20, middlewares=[self._unless_away])
        for root in dict.fromkeys((prefix.rstrip("/"), "/v1")):
            app.router.add_post(f"{root}/chat/completions", self._completions)
            app.router.add_get(f"{root}/key", self._key)
            app.router.add_get(f"{root}/models", self._models)
        add_control_routes(app, self)
        return app

    @web.middleware
    async def _unless_away(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/sandbox/"):
            return await handler(request)
        self.looks += request.method == "GET"
        if not self.is_away:
            return await handler(request)
        if request.method == "POST":
            self._recorded(request, await _json_body(request)).outcome = "away"
        return error(503, "Service Unavailable")

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        body = await _json_body(request)
        record = self._recorded(request, body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._open.wait()
            await asyncio.sleep(self._time_until_answer())
            return await self._answered(request, body, record)
        finally:
            self.in_flight -= 1
            record.seconds = time.monotonic() - began

    def _time_until_answer(self) -> float:
        if not self.is_serial:
            return self.latency
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + self.latency
        return self._free_at - now

    def _recorded(self, request: web.Request, body: Json) -> RequestRecord:
        headers = {k: v for k, v in request.headers.items() if k.lower() != "authorization"}
        record = RequestRecord(
            time.monotonic(),
            str(body.get("model", "")),
            list(body.get("models") or []),
            body,
            headers,
            "cancelled",
        )
        self.requests.append(record)
        return record

    async def _answered(self, request: web.Request, body: Json, record: RequestRecord) -> web.StreamResponse:
        if (refusal := self._refused(request, body, record)) is not None:
            return refusal
        name, model = self._fault(body, record)
        record.outcome, record.answered_by = name or "ok", model
        exchange = self._exchange(request, body, model, record)
        if name is not None:
            return await FAULTS[name](exchange)
        self.served_today += 1
        pairs = similar_pairs(body, self.similar)
        return answer(exchange.completion(exchange.content() if pairs is None else pairs))

    def _refused(self, request: web.Request, body: Json, record: RequestRecord) -> web.StreamResponse | None:
        for name, check in (
            ("no_key", self._check_key(request)),
            ("invalid", self._check_body(body)),
            ("limited", self._check_limits()),
        ):
            if check is not None:
                record.outcome = name
                return check
        return None

    def _check_key(self, request: web.Request) -> web.Response | None:
        if self.api_key is None or request.headers.get("Authorization") == f"Bearer {self.api_key}":
            return None
        return error(401, "No auth credentials found")

    def _check_body(self, body: Json) -> web.Response | None:
        refused = self.refuses & body.keys()
        if refused:
            return error(400, f"Unrecognized request argument supplied: {', '.join(sorted(refused))}")
        if not body.get("messages"):
            return error(400, 'Input required: specify "messages"')
        if self.openrouter and len(body.get("models") or []) > 3:
            return error(400, "'models' array must have 3 items or fewer.")
        asked = _candidates(body, openrouter=self.openrouter)
        unknown = [model for model in asked if self.models is not None and model not in self.models]
        if not asked or not asked[0] or (unknown and len(unknown) == len(asked)):
            return error(404, f"No endpoints found for {', '.join(asked) or 'no model'}.")
        return None

    def _check_limits(self) -> web.Response | None:
        now = time.monotonic()
        while self._minute and self._minute[0] <= now - 60:
            self._minute.popleft()
        most = self.requests_per_minute
        if most is not None and len(self._minute) >= most:
            return platform_limit("min", most, self._minute[0] + 60 - now)
        if self.requests_per_day is not None and self.served_today >= self.requests_per_day:
            return platform_limit("day", self.requests_per_day, 86_400 - time.time() % 86_400)
        self._minute.append(now)
        return None

    def _fault(self, body: Json, record: RequestRecord) -> tuple[str | None, str]:
        candidates = _candidates(body, openrouter=self.openrouter)
        # OpenRouter itself tries the next model after an error.
        known = [m for m in candidates if self.models is None or m in self.models]
        well = [m for m in known if self.script.models.get(m) in {None, *NOT_AN_ERROR}]
        model = (well or known)[0]
        return self.script.take(record.message, model), model

    def _exchange(self, request: web.Request, body: Json, model: str, record: RequestRecord) -> Exchange:
        question: Question = read_question(body, self._known)
        tags = {post.number: self._tags(post.text) for post in question.posts}
        return Exchange(
            request,
            body,
            model,
            tags if question.single else self.obedience.obeyed(question.posts, tags),
            question.single,
            user_message(body),
            self.hang_seconds,
            self.slow_seconds,
            self.redirect_to,
            self.reset_after,
            record.count,
        )

    def _tags(self, text: str) -> list[str]:
        known = self._learnt.get(_beginning(text)) or expected_tags(text)
        return next((tags for marker, tags in self._answers.items() if marker in text), known)

    async def _key(self, request: web.Request) -> web.StreamResponse:
        if not self.openrouter:
            return error(404, "Not Found")
        if (refusal := self._check_key(request)) is not None:
            return refusal
        limit = self.requests_per_day or 50
        used = min(self.served_today, limit)
        data = {
            "label": "sandbox",
            "is_free_tier": True,
            "limit": None,
            "limit_remaining": None,
            "limit_reset": None,
            "usage": 0.0,
            "usage_daily": 0.0,
            "free_model_daily_requests": {"used": used, "limit": limit, "remaining": limit - used},
        }
        if self.requests_per_day is None:
            del data["free_model_daily_requests"]
        return answer({"data": data})

    async def _models(self, request: web.Request) -> web.StreamResponse:
        listed: Sequence[str] = sorted(self.models or ["sandbox/any"])
        # llama.cpp's server also takes any name, whatever it lists.
        owner = "llamacpp" if self.models is None else "sandbox"
        return answer({"data": [{"id": m, "object": "model", "name": m, "owned_by": owner} for m in listed]})


def _candidates(body: Json, *, openrouter: bool) -> list[str]:
    models = [str(model) for model in body.get("models") or []] if openrouter else []
    first = [str(body["model"])] if body.get("model") else []
    return list(dict.fromkeys([*first, *models]))


async def _json_body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except json.JSONDecodeError as problem:
        raise web.HTTPBadRequest(text="not JSON") from problem
    return body if isinstance(body, dict) else {}
