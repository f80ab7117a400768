"""Everything that a provider is known to do becomes one typed outcome."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.outcomes import Kind, Outcome
from services.llm.response_classifier import Reply, classify

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TEXT = "Новая станция метро открылась сегодня"


def one(status: int, body: Any, headers: dict[str, str] | None = None) -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(Reply(status, headers or {}, raw), [TEXT], NOW).outcomes[0]


def error(code: Any, message: str = "", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


def answer(content: Any, **choice: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"message": {"content": content}, **choice}]}


ERRORS: list[tuple[str, int, Any, Kind]] = [
    ("key", 401, error(401, "No auth credentials found"), Kind.ACCOUNT),
    ("credit", 402, error(402, "Insufficient credits"), Kind.ACCOUNT),
    ("moderation", 403, error(403, "flagged", metadata={"reasons": ["violence"]}), Kind.REFUSED),
    ("guardrail", 403, error(403, "blocked"), Kind.FORBIDDEN),
    ("no model", 404, error(404, "No endpoints found for m"), Kind.MODEL_GONE),
    ("free ended", 404, error(404, availability={"code": "free_variant_ended", "retryable": False}), Kind.MODEL_GONE),
    ("gone as 400", 400, error(400, availability={"code": "new_code", "retryable": False}), Kind.MODEL_GONE),
    ("gone as 503", 503, error(503, availability={"code": "no_endpoints", "retryable": False}), Kind.MODEL_GONE),
    ("invalid id", 400, error(400, "x is not a valid model ID"), Kind.MODEL_GONE),
    (
        "busy model",
        503,
        error(503, availability={"code": "temporarily_unavailable", "retryable": True}),
        Kind.SERVER_ERROR,
    ),
    ("capacity", 429, error(429, availability={"code": "capacity_exhausted", "retryable": True}), Kind.LIMITED),
    ("too long", 400, error(400, metadata={"error_type": "context_length_exceeded"}), Kind.REFUSED),
    ("policy", 400, error(400, metadata={"error_type": "content_policy_violation"}), Kind.REFUSED),
    ("refusal", 400, error(400, metadata={"error_type": "refusal"}), Kind.REFUSED),
    ("413", 413, error(413), Kind.REFUSED),
    ("bad request", 400, error(400, "response_format is not supported"), Kind.UNSUPPORTED),
    ("408", 408, error(408), Kind.TIMEOUT),
    ("504", 504, error(504), Kind.TIMEOUT),
    ("500", 500, error(500), Kind.SERVER_ERROR),
    ("502", 502, error(502), Kind.SERVER_ERROR),
    ("502 page", 502, b"<html>Bad gateway</html>", Kind.SERVER_ERROR),
    ("redirect", 307, b"", Kind.SERVER_ERROR),
    ("error in a 200", 200, error(502, "provider_unavailable"), Kind.SERVER_ERROR),
    ("named error in a 200", 200, error("server_error"), Kind.SERVER_ERROR),
    ("limit in a 200", 200, error(429), Kind.LIMITED),
    ("error in a choice", 200, answer("half", finish_reason="error", error={"code": 502}), Kind.SERVER_ERROR),
    ("finish_reason error", 200, answer("half", finish_reason="error"), Kind.SERVER_ERROR),
    ("content filter", 200, answer("", finish_reason="content_filter"), Kind.REFUSED),
    ("empty", 200, answer(""), Kind.EMPTY),
    ("null", 200, answer(None), Kind.EMPTY),
    ("no choices", 200, {"id": "x"}, Kind.EMPTY),
    ("empty choices", 200, {"choices": []}, Kind.EMPTY),
    ("empty body", 200, b"", Kind.EMPTY),
    ("page", 200, b"<html>hello</html>", Kind.SERVER_ERROR),
    ("no json", 200, b"upstream connect error", Kind.SERVER_ERROR),
    ("wrong encoding", 200, '{"choices": "тег"}'.encode("cp1251"), Kind.SERVER_ERROR),
    ("words", 200, answer("I cannot help with that."), Kind.MALFORMED),
    ("tags", 200, answer('{"tags": ["метро", "город", "транспорт"]}'), Kind.TAGGED),
]


def test_the_page_of_an_error_is_kept_to_explain_it() -> None:
    assert one(502, b"<html>Bad gateway</html>").excerpt == "<html>Bad gateway</html>"


def test_a_byte_order_mark_before_the_json_is_no_part_of_it() -> None:
    body = "\ufeff" + json.dumps(answer('{"tags": ["метро"]}'))
    assert one(200, body.encode()).tags == ("метро",)


@pytest.mark.parametrize(("status", "body", "kind"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_each_fault_has_its_kind(status: int, body: Any, kind: Kind) -> None:
    """The table of the provider's documentation."""
    assert one(status, body).kind is kind


def test_platform_limit_by_headers_of_the_answer() -> None:
    """X-RateLimit-Reset is in Unix milliseconds, and the limit is the platform's."""
    reset = NOW + timedelta(seconds=30)
    outcome = one(429, error(429, "free-models-per-min"), {"X-RateLimit-Reset": str(int(reset.timestamp() * 1000))})
    assert outcome.platform
    assert outcome.until == reset


def test_platform_limit_by_headers_in_the_body() -> None:
    """The same headers may stand under error.metadata.headers."""
    reset = NOW + timedelta(hours=3)
    headers = {"X-RateLimit-Reset": str(int(reset.timestamp() * 1000)), "X-RateLimit-Remaining": "0"}
    outcome = one(429, error(429, "limit exceeded: free-models-per-day", metadata={"headers": headers}))
    assert (outcome.platform, outcome.until) == (True, reset)


def test_a_providers_own_limit_concerns_one_model() -> None:
    """Retry-After without X-RateLimit headers is one provider's."""
    outcome = one(429, error(429, "rate-limited upstream"), {"Retry-After": "7"})
    assert (outcome.platform, outcome.until) == (False, NOW + timedelta(seconds=7))


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", "1e400", "", "5e15"])
def test_nonsense_in_retry_after_is_no_time(value: str) -> None:
    """A header of anyone's cannot crash the reader."""
    assert one(503, error(503), {"Retry-After": value}).until is None


def test_no_header_stops_us_for_long() -> None:
    """Two days at most, whichever form the time has."""
    outcome = one(503, error(503), {"Retry-After": "Fri, 31 Dec 2099 00:00:00 GMT"})
    assert outcome.until == NOW + timedelta(days=2)


def test_what_no_database_stores_is_taken_out() -> None:
    """Half a surrogate pair and NUL, which JSON may escape."""
    raw = b'{"model": "m\\u0000", "choices": [{"message": {"content": "sorry \\ud800"}}]}'
    classified = classify(Reply(200, {}, raw), [TEXT], NOW)
    assert classified.model == "m"
    assert classified.outcomes[0].excerpt == "sorry ?"


@given(st.integers(100, 599), st.binary(max_size=300))
def test_never_raises_on_bytes(status: int, body: bytes) -> None:
    """Whatever comes is an outcome."""
    assert classify(Reply(status, {}, body), [TEXT], NOW).outcomes


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["error", "choices", "usage", "model"])
inner_keys = st.sampled_from(["code", "message", "metadata", "availability", "finish_reason", "error", "content"])


@given(st.dictionaries(keys, json_values | st.dictionaries(inner_keys, json_values)))
def test_never_raises_on_json(body: dict[str, Any]) -> None:
    """Nor do odd types in known places."""
    assert classify(Reply(200, {}, json.dumps(body).encode()), [TEXT], NOW).outcomes
