"""PURE: what a provider did, as one typed outcome.

`classify` is the only place that knows how OpenRouter and its kin report trouble; `ERROR_RULES` is its table,
read from the top, the first row that matches decides. Source: https://openrouter.ai/docs/api/reference/errors-and-debugging
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, NamedTuple

from services.clock import day_ends
from services.llm.answer_parser import read_answer

#: How much of an unreadable answer is kept to explain it later.
EXCERPT = 1000


#: How JSON says NUL and halves of surrogate pairs; as bytes they are no JSON.
_UNSTORABLE_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")

#: No header may stop us for longer.
LATEST = timedelta(days=2)


class Kind(StrEnum):
    """What an outcome is, as stored in `metka_attempts.outcome`."""

    TAGGED = "tagged"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    NETWORK = "network"
    EMPTY = "empty"
    MALFORMED = "malformed"
    LIMITED = "limited"
    ACCOUNT = "account"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    MODEL_GONE = "model_gone"
    UNSUPPORTED = "unsupported"


#: Faults that say that the upstream is down, and that a short wait may mend.
#: An empty answer is often a model's cold start.
DOWN_KINDS = frozenset({Kind.SERVER_ERROR, Kind.TIMEOUT, Kind.NETWORK, Kind.EMPTY})


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the platform as a 429 states it: requests in a minute, or in a day."""

    requests: int
    daily: bool


class Outcome(NamedTuple):
    """What one request gave one post. `reason` is in plain words and holds no secret."""

    kind: Kind
    reason: str = ""
    tags: tuple[str, ...] = ()
    #: When the provider said that it may be asked again.
    until: datetime | None = None
    #: A limit or an account fault of the platform, not of one model.
    platform: bool = False
    limit: Limit | None = None
    #: The beginning of an answer that could not be read.
    excerpt: str | None = None


class Usage(NamedTuple):
    """What the request cost: tokens, and credits where the provider says."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer as received: headers in any case, the body's bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Classified(NamedTuple):
    """The outcomes of a request's posts (in their order), who answered, and what it cost."""

    outcomes: tuple[Outcome, ...]
    model: str | None = None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class ProviderError:
    """An error as OpenRouter shapes it, wherever it stood: the body, or a choice of a 200."""

    code: int
    message: str = ""
    error_type: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    availability: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def says(self, *words: str) -> bool:
        """Whether the message or the type holds one of the words."""
        text = f"{self.message} {self.error_type}".lower()
        return any(word in text for word in words)

    @property
    def is_platform_limit(self) -> bool:
        """The platform's own limits name free-models-per-… or carry X-RateLimit headers."""
        return self.says("free-models-per") or "x-ratelimit-reset" in self.headers

    @property
    def is_daily(self) -> bool:
        """Whether it is the day's quota that is used up."""
        return self.says("per-day")


REDIRECTS = frozenset({301, 302, 303, 307, 308})

Rule = tuple[str, Callable[[ProviderError], bool], Kind]

#: Wording, condition, kind. A model's own unavailability is judged by `retryable`, as new codes may come.
ERROR_RULES: tuple[Rule, ...] = (
    (
        "model is not available",
        lambda e: e.availability.get("retryable") is False,
        Kind.MODEL_GONE,
    ),
    ("the API key was not accepted", lambda e: e.code == 401, Kind.ACCOUNT),
    ("the account is out of credit", lambda e: e.code == 402, Kind.ACCOUNT),
    (
        "refused by moderation",
        lambda e: e.code == 403 and bool(e.metadata.get("reasons")),
        Kind.REFUSED,
    ),
    ("the day's quota is used up", lambda e: e.code == 429 and e.is_daily, Kind.LIMITED),
    ("too many requests", lambda e: e.code == 429, Kind.LIMITED),
    ("the model has no capacity", lambda e: bool(e.availability.get("retryable")), Kind.SERVER_ERROR),
    ("access was forbidden", lambda e: e.code == 403, Kind.FORBIDDEN),
    ("no such model", lambda e: e.code == 404, Kind.MODEL_GONE),
    (
        "the text is too long for the model",
        lambda e: e.code == 413 or e.says("context_length", "context length", "maximum context"),
        Kind.REFUSED,
    ),
    (
        "the model refuses the text",
        lambda e: e.code in {400, 422} and e.says("content_policy", "content policy", "refusal", "moderation"),
        Kind.REFUSED,
    ),
    (
        "no such model",
        lambda e: e.code == 400 and e.says("not a valid model", "model not found", "model_not_found"),
        Kind.MODEL_GONE,
    ),
    ("the request was not accepted", lambda e: e.code in {400, 405, 422}, Kind.UNSUPPORTED),
    ("the provider timed out", lambda e: e.code in {408, 504, 524}, Kind.TIMEOUT),
    ("the provider failed (it redirects, which is not followed)", lambda e: e.code in REDIRECTS, Kind.SERVER_ERROR),
    ("the provider failed", lambda _: True, Kind.SERVER_ERROR),
)


def classify(reply: Reply, texts: Sequence[str], now: datetime) -> Classified:
    """An HTTP answer to a request for `texts` → an outcome a post. Never raises."""
    body = _decode(reply.body)
    count = len(texts)
    if not isinstance(body, dict):
        return Classified(_same(_unreadable(reply, now), count))
    error = _find_error(body, reply)
    if error is not None:
        return Classified(_same(_from_error(error, now), count), _model(body), _usage(body))
    content, finish_reason = _content(body)
    return Classified(_read(body, content, finish_reason, texts), _model(body), _usage(body))


def timed_out(seconds: float) -> Outcome:
    """The request took longer than TAGGING_REQUEST_TIMEOUT."""
    return Outcome(Kind.TIMEOUT, f"no answer within {seconds:g} s")


def connection_failed(what: str) -> Outcome:
    """The connection was refused, lost or reset. `what` names the error's class, never an address."""
    return Outcome(Kind.NETWORK, f"connection failed ({what})")


def _same(outcome: Outcome, count: int) -> tuple[Outcome, ...]:
    return (outcome,) * count


def _decode(body: bytes) -> Any:
    try:
        # As `utf-8-sig` does it, which takes longer than all the rest.
        value = json.loads(body.decode().removeprefix("\ufeff"))
        return _storable(value) if _UNSTORABLE_ESCAPE.search(body) else value
    except (ValueError, RecursionError):
        return None


def _storable(value: Any) -> Any:
    """The same without what no database stores: NUL, and halves of surrogate pairs (JSON may escape both)."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


def _unreadable(reply: Reply, now: datetime) -> Outcome:
    excerpt = reply.body[: EXCERPT * 4].decode("utf-8", "replace").replace("\x00", "")[:EXCERPT]
    if reply.status in range(200, 300):
        if not reply.body.strip():
            return Outcome(Kind.EMPTY, "the answer was empty")
        what = "an HTML page" if excerpt.lstrip().startswith("<") else "no JSON"
        return Outcome(Kind.SERVER_ERROR, f"the server answered with {what}", excerpt=excerpt)
    outcome = _from_error(ProviderError(reply.status, headers=_lower(reply.headers)), now)
    return outcome._replace(excerpt=excerpt)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _find_error(body: dict[str, Any], reply: Reply) -> ProviderError | None:
    raw = body.get("error")
    if not raw:
        choice = _choice(body)
        raw = choice.get("error")
        if not raw and choice.get("finish_reason") == "error":
            raw = {"message": "the model stopped with an error"}
    if raw:
        return _parse_error(raw, reply.status, _lower(reply.headers))
    return None if reply.status in range(200, 300) else ProviderError(reply.status, headers=_lower(reply.headers))


def _parse_error(raw: Any, status: int, headers: Mapping[str, str]) -> ProviderError:
    if not isinstance(raw, dict):
        raw = {"message": str(raw)}
    metadata = _mapping(raw.get("metadata"))
    inner = {str(name).lower(): str(value) for name, value in _mapping(metadata.get("headers")).items()}
    return ProviderError(
        code=_code(raw.get("code"), status),
        message=str(raw.get("message") or "")[:500],
        error_type=str(metadata.get("error_type") or raw.get("type") or raw.get("code") or "")[:100],
        metadata=metadata,
        availability=_mapping(raw.get("availability") or metadata.get("availability")),
        headers={**headers, **inner},
    )


def _code(code: Any, status: int) -> int:
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdecimal():
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool) and 100 <= code < 600:
        return code
    # An error in a 200 whose code is no status ("server_error"): the provider failed.
    return status if status >= 300 else 502


def _from_error(error: ProviderError, now: datetime) -> Outcome:
    wording, kind = next((wording, kind) for wording, matches, kind in ERROR_RULES if matches(error))
    platform = kind is Kind.ACCOUNT or (kind is Kind.LIMITED and error.is_platform_limit)
    status = f"HTTP {error.code}: " if error.code else ""
    limit = _limit(error) if kind is Kind.LIMITED and platform else None
    return Outcome(kind, f"{status}{wording}", until=_until(error, now), platform=platform, limit=limit)


def _limit(error: ProviderError) -> Limit | None:
    stated = error.headers.get("x-ratelimit-limit", "")
    if not (stated.isascii() and stated.isdecimal() and 0 < int(stated[:9]) < 1_000_000):
        return None
    return Limit(int(stated[:9]), error.is_daily)


def _until(error: ProviderError, now: datetime) -> datetime | None:
    reset = error.headers.get("x-ratelimit-reset") if error.code == 429 else None
    until = _at(reset, now) if reset is not None else None
    if until is not None:
        return until
    after = error.headers.get("retry-after") or error.availability.get("retry_after")
    if after is None and error.code == 429 and error.is_daily:
        return day_ends(now)
    return _at(str(after), now) if after is not None else None


def _at(value: str, now: datetime) -> datetime | None:
    """Unix milliseconds, Unix seconds, seconds from now, or an HTTP date → a time no further than two days."""
    latest = now + LATEST
    try:
        number = float(value)
    except ValueError:
        moment = _at_http_date(value)
        return min(moment, latest) if moment else None
    if not 0 <= number < 1e14:
        return None
    if number > 1e11:
        number /= 1000
    moment = datetime.fromtimestamp(number, UTC) if number > 1e9 else now + timedelta(seconds=min(number, 2e5))
    return min(moment, latest)


def _at_http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read(body: dict[str, Any], content: str, finish_reason: str | None, texts: Sequence[str]) -> tuple[Outcome, ...]:
    message = _mapping(_choice(body).get("message"))
    if finish_reason == "content_filter" or (message.get("refusal") and not content.strip()):
        return _same(Outcome(Kind.REFUSED, "the model refuses the text"), len(texts))
    if not content.strip():
        return _same(Outcome(Kind.EMPTY, "the answer was empty"), len(texts))
    reading = read_answer(content, len(texts), texts, finish_reason)
    return tuple(
        Outcome(Kind.TAGGED, tags=reading.tags[number])
        if number in reading.tags
        else Outcome(
            Kind.MALFORMED,
            f"no usable answer ({reading.problems.get(number, 'no tags')})",
            excerpt=content[:EXCERPT],
        )
        for number in range(1, len(texts) + 1)
    )


def _content(body: dict[str, Any]) -> tuple[str, str | None]:
    choice = _choice(body)
    content = _mapping(choice.get("message")).get("content")
    if isinstance(content, list):
        content = "".join(str(_mapping(part).get("text") or "") for part in content)
    reason = choice.get("finish_reason")
    return (content if isinstance(content, str) else "", reason if isinstance(reason, str) else None)


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    return _mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _model(body: dict[str, Any]) -> str | None:
    model = body.get("model")
    return model[:200] if isinstance(model, str) and model else None


_NUMBERS = frozenset({int, float})


def _usage(body: dict[str, Any]) -> Usage:
    usage = _mapping(body.get("usage"))
    prompt, completion = _amount(usage.get("prompt_tokens")), _amount(usage.get("completion_tokens"))
    return Usage(
        None if prompt is None else int(prompt),
        None if completion is None else int(completion),
        _amount(usage.get("cost")),
    )


def _amount(value: Any) -> float | None:
    # JSON's true is no number, though Python's is.
    return value if type(value) in _NUMBERS and 0 <= value < 1e9 else None
