"""The body of a request is what the prompts say, with the features that the server takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.features import Feature
from services.llm.prompts import answer_schema, max_tokens, messages
from services.llm.request import request_body

MODELS = ("first/модель", 'sec"ond', "third")
TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
ALL = set(Feature) - {Feature.MAX_COMPLETION_TOKENS}


@given(st.lists(TEXT | st.just('"\\u0000"'), min_size=1, max_size=3))
def test_body_is_the_payload(texts: list[str]) -> None:
    body = json.loads(json.dumps(request_body(texts, MODELS, ALL)))
    assert body == {
        "model": MODELS[0],
        "messages": messages(texts),
        "max_tokens": max_tokens(len(texts)),
        "response_format": answer_schema(len(texts)),
        "plugins": [{"id": "response-healing"}],
        "models": list(MODELS),
    }


@pytest.mark.parametrize(
    ("models", "refused", "without"),
    [
        (MODELS, {Feature.RESPONSE_FORMAT}, {"response_format"}),
        (MODELS, {Feature.MODELS, Feature.PLUGINS}, {"plugins", "models"}),
        (MODELS[:1], set(), {"models"}),
        (MODELS[:1], {Feature.MAX_TOKENS, Feature.RESPONSE_FORMAT}, {"max_tokens", "response_format", "models"}),
    ],
)
def test_what_a_server_does_not_take_stays_out(
    models: tuple[str, ...], refused: set[Feature], without: set[str]
) -> None:
    body = request_body(["a"], models, ALL - refused)
    everything = {"model", "messages", "max_tokens", "response_format", "plugins", "models"}
    assert set(body) == everything - without


def test_without_a_system_role_the_rules_come_first_in_the_users_message() -> None:
    rules, posts = (message["content"] for message in messages(["a"]))
    body = request_body(["a"], MODELS, ALL - {Feature.SYSTEM_ROLE})
    assert body["messages"] == [{"role": "user", "content": f"{rules}\n\n{posts}"}]
