"""PURE: a model server's HTTP answer → one typed outcome a post.

Source: https://openrouter.ai/docs/api/reference/errors-and-debugging
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from services.llm.answer_checks import AnswerProblem
from services.llm.answer_parser import ParsedAnswer, read_answer
from services.llm.error_rules import ADDRESS_WORDS, TOO_LONG, WRONG_ADDRESS, rule_of
from services.llm.outcomes import Kind, Limit, Outcome, Usage
from services.llm.retry_after import retry_at
from services.llm.server_errors import ServerError, cleaned_words, find_error, mapping
from services.tags.rules import NO_RULES, Rules

EXCERPT = 1000

#: JSON's escapes of NUL and of halves of surrogate pairs, which no database stores.
_UNSTORABLE_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
_FILTERED = re.compile(
    r"filter|safety|unsafe|polic|recitation|prohibited|block|blacklist|spii|sensitive|refusal|guardrail|moderat|censor|"
    r"harm|violat|copyright|risk|armor",
    re.IGNORECASE,
)
_BROKEN_OFF = re.compile(r"error|fail|abort", re.IGNORECASE)
_NO_ROOM = re.compile(r"context|model_length", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Classified(NamedTuple):
    """The outcomes of a request's posts in their order, the model that answered, and the usage."""

    outcomes: tuple[Outcome, ...]
    model: str | None = None
    usage: Usage = Usage()
    error: ServerError | None = None
    #: The token budget ended before the model said anything, as thinking does.
    out_of_tokens: bool = False

    @property
    def is_too_long(self) -> bool:
        """Whether the request is refused for its length."""
        return self.outcomes[0].kind is Kind.REFUSED and TOO_LONG in self.outcomes[0].reason


def classify(
    reply: Reply,
    texts: Sequence[str],
    now: datetime,
    rules: Rules = NO_RULES,
) -> Classified:
    """An HTTP answer → an outcome for each of `texts`. Never raises."""
    body = _decode(reply.body)
    error = find_error(_said_in_text(reply) if body is None else body, reply.status, reply.headers)
    if error is not None:
        outcome = _of_error(error, texts, now, excerpt=None if isinstance(body, dict | list) else _excerpt(reply))
        shown = mapping(body)
        return Classified((outcome,) * len(texts), _model(shown), _usage(shown), error)
    if not isinstance(body, dict):
        return Classified((_of_no_json(reply),) * len(texts))
    outcomes, out_of_tokens = _of_answer(body, texts, rules)
    return Classified(outcomes, _model(body), _usage(body), out_of_tokens=out_of_tokens)


def answer_text(reply: Reply) -> str | None:
    """The text of an answer that is no post's tags; None for an error."""
    body = _decode(reply.body)
    if not isinstance(body, dict) or find_error(body, reply.status, reply.headers) is not None:
        return None
    choice = _choice(body)
    return _content(choice, mapping(choice.get("message")))


def _decode(body: bytes) -> Any:
    try:
        value = json.loads(body.decode("utf-8-sig"))
        return _storable(value) if _UNSTORABLE_ESCAPE.search(body) else value
    except (ValueError, RecursionError):
        return None


def _said_in_text(reply: Reply) -> Any:
    """An error that is plain text; a page of HTML says nothing."""
    text = _excerpt(reply).strip()
    is_said = reply.status >= 300 and text and not text.startswith("<")
    return {"message": text} if is_said else None


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


def _of_error(error: ServerError, texts: Sequence[str], now: datetime, *, excerpt: str | None) -> Outcome:
    rule = rule_of(error)
    platform = rule.kind is Kind.ACCOUNT or (rule.kind is Kind.LIMITED and error.is_platform_limit)
    return Outcome(
        rule.kind,
        _quoting(f"HTTP {error.code}: {rule.wording}", "; ".join(error.own_messages), texts),
        until=retry_at(error, now),
        platform=platform,
        limit=_limit(error) if rule.kind is Kind.LIMITED and platform else None,
        excerpt=excerpt,
    )


def _quoting(reason: str, words: str, texts: Sequence[str]) -> str:
    """The reason, with the server's or the model's own words behind it."""
    cleaned = cleaned_words(words, texts)
    return f"{reason}: “{cleaned}”" if cleaned else reason


def _limit(error: ServerError) -> Limit | None:
    stated = error.headers.get("x-ratelimit-limit", "")
    if not (stated.isascii() and stated.isdecimal() and 0 < int(stated[:9]) < 1_000_000):
        return None
    return Limit(int(stated[:9]), error.is_daily)


def _of_no_json(reply: Reply) -> Outcome:
    if not reply.body.strip():
        return Outcome(Kind.EMPTY, "the answer was empty")
    excerpt = _excerpt(reply)
    if ADDRESS_WORDS.search(excerpt.lower()):
        return Outcome(Kind.SERVER_ERROR, WRONG_ADDRESS, excerpt=excerpt)
    if excerpt.lstrip().startswith("<"):
        hint = "is OPENROUTER_BASE_URL the address of an API? /v1 may be missing"
        return Outcome(Kind.SERVER_ERROR, f"the server answered with an HTML page ({hint})", excerpt=excerpt)
    return Outcome(Kind.SERVER_ERROR, "the server answered with no JSON", excerpt=excerpt)


def _excerpt(reply: Reply) -> str:
    return reply.body[: EXCERPT * 4].decode("utf-8", "replace").replace("\x00", "")[:EXCERPT]


def _of_answer(body: dict[str, Any], texts: Sequence[str], rules: Rules) -> tuple[tuple[Outcome, ...], bool]:
    """The outcomes, and whether the token budget ended before the model said anything."""
    count = len(texts)
    choice = _choice(body)
    message = mapping(choice.get("message"))
    content, reason = _content(choice, message), _text(choice.get("finish_reason"))
    native = _text(choice.get("native_finish_reason"))
    has_no_content = not content.strip()
    refusal = _text(message.get("refusal"))
    if _FILTERED.search(reason) or (has_no_content and (refusal or _FILTERED.search(native) or _is_blocked(body))):
        return (Outcome(Kind.REFUSED, _quoting("the model refuses the text", refusal, texts)),) * count, False
    if has_no_content and (_NO_ROOM.search(reason) or _NO_ROOM.search(native)):
        return (Outcome(Kind.REFUSED, TOO_LONG),) * count, False
    cut = bool(_CUT & {reason.lower(), native.lower()})
    parsed = read_answer(content, count, texts, cut=cut, rules=rules)
    if not parsed.tags:
        parsed = next((found for found in _elsewhere(message, texts, rules) if found.tags), parsed)
    if has_no_content and not parsed.tags and _BROKEN_OFF.search(reason):
        return (Outcome(Kind.SERVER_ERROR, "the provider failed (the model stopped with an error)"),) * count, False
    if has_no_content and not parsed.tags and any(message.get(name) for name in _REASONING):
        parsed = ParsedAnswer({}, dict.fromkeys(parsed.problems, AnswerProblem.ONLY_THINKING))
    outcomes = tuple(_of_post(parsed, number, content) for number in range(1, count + 1))
    said_nothing = not parsed.tags and set(parsed.problems.values()) <= {
        AnswerProblem.NOTHING,
        AnswerProblem.ONLY_THINKING,
    }
    return outcomes, said_nothing and cut


def _is_blocked(body: dict[str, Any]) -> bool:
    """Gemini's own form of a refused prompt, without choices."""
    return bool(mapping(body.get("promptFeedback")).get("blockReason"))


def _of_post(parsed: ParsedAnswer, number: int, content: str) -> Outcome:
    if number in parsed.tags:
        return Outcome(Kind.TAGGED, tags=parsed.tags[number])
    problem = parsed.problems[number]
    if problem is AnswerProblem.NOTHING:
        return Outcome(Kind.EMPTY, "the answer was empty")
    ordered = problem is AnswerProblem.ORDERS
    return Outcome(
        Kind.MALFORMED,
        f"no usable answer ({problem})",
        excerpt=content[:EXCERPT],
        alone=ordered or problem is AnswerProblem.PUT_THERE,
        gave_orders=ordered,
    )


def _elsewhere(message: dict[str, Any], texts: Sequence[str], rules: Rules) -> Iterator[ParsedAnswer]:
    """Answers in other fields than the content: a tool's arguments, or the reasoning."""
    calls = message.get("tool_calls")
    functions = [mapping(call).get("function") for call in calls] if isinstance(calls, list) else []
    for function in (*functions, message.get("function_call")):
        yield read_answer(_said(mapping(function).get("arguments")), len(texts), texts, rules=rules)
    for name in _REASONING:
        yield read_answer(_said(message.get(name)), len(texts), texts, json_only=True, rules=rules)


def _content(choice: dict[str, Any], message: dict[str, Any]) -> str:
    return _said(message.get("content")) or _text(choice.get("text"))


def _said(value: Any) -> str:
    """A text, the texts of a list of parts, or JSON that the server has already parsed."""
    if isinstance(value, list):
        return "".join(_text(part) or _part_text(mapping(part).get("text")) for part in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else _text(value)


def _part_text(text: Any) -> str:
    return _text(text) or _text(mapping(text).get("value"))


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    return mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _model(body: dict[str, Any]) -> str | None:
    return _text(body.get("model"))[:200] or None


def _usage(body: dict[str, Any]) -> Usage:
    usage = mapping(body.get("usage"))
    prompt, completion = _amount(usage.get("prompt_tokens")), _amount(usage.get("completion_tokens"))
    return Usage(
        None if prompt is None else int(prompt),
        None if completion is None else int(completion),
        _amount(usage.get("cost")),
    )


def _amount(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < 1e9 else None
