"""Real answers of model servers, each with its source (server_answers.json), become the outcomes that fit them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.llm.features import named_in
from services.llm.response_classifier import Classified, Reply, classify

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TEXT = "Новая станция метро открылась сегодня"
CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("server_answers.json").read_text("utf-8"))


def classified(case: dict[str, Any]) -> Classified:
    body = case["text"] if "text" in case else json.dumps(case["body"])
    return classify(Reply(case["status"], case.get("headers", {}), body.encode()), [TEXT], NOW)


@pytest.mark.parametrize("case", CASES, ids=[f"{case['server']}: {case['name']}" for case in CASES])
def test_a_real_answer_has_its_outcome(case: dict[str, Any]) -> None:
    """The kind, and where the table says so: whose fault, until when, which features, in whose words."""
    found = classified(case)
    outcome = found.outcomes[0]
    assert outcome.kind.value == case["kind"], outcome.reason
    assert case.get("words", "") in outcome.reason
    assert case.get("reason", "") in outcome.reason
    assert case.get("not_in_words", "\0") not in outcome.reason
    assert found.out_of_tokens is case.get("out_of_tokens", False)
    if "platform" in case:
        assert outcome.platform is case["platform"]
    if "seconds" in case:
        assert outcome.until is not None
        assert abs(outcome.until - NOW - timedelta(seconds=case["seconds"])) < timedelta(milliseconds=1)
    if "features" in case:
        assert found.error is not None
        assert sorted(named_in(found.error)) == sorted(case["features"])


def test_the_servers_words_are_short_and_hold_no_text_of_a_post() -> None:
    """A server may quote the request."""
    body = {"error": {"message": f"cannot read the prompt '{TEXT}' " + "because of reasons " * 50}}
    reason = classify(Reply(500, {}, json.dumps(body).encode()), [TEXT], NOW).outcomes[0].reason
    assert "cannot read the prompt '…' because" in reason
    assert "станция" not in reason
    assert len(reason) < 400
