"""What goes over the wire is what the prompts say, however it is put together."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.prompts import PROMPT_TEXT_LIMIT, answer_schema, build_messages, max_tokens, sendable
from services.llm.request import request_body

MODELS = ("first/модель", 'sec"ond', "third")
TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@given(st.lists(TEXT | st.just('"\\u0000"'), min_size=1, max_size=3))
def test_body_is_the_payload(texts: list[str]) -> None:
    body = request_body(texts, MODELS, structured=True, extras=True)
    assert json.loads(body.decode()) == {
        "model": MODELS[0],
        "messages": build_messages(texts),
        "max_tokens": max_tokens(len(texts)),
        "response_format": answer_schema(len(texts)),
        "plugins": [{"id": "response-healing"}],
        "models": list(MODELS),
    }


@pytest.mark.parametrize(
    ("models", "structured", "extras", "without"),
    [
        (MODELS, False, True, {"response_format"}),
        (MODELS, True, False, {"plugins", "models"}),
        (MODELS[:1], True, True, {"models"}),
        (MODELS[:1], False, False, {"response_format", "plugins", "models"}),
    ],
)
def test_what_a_server_does_not_take_stays_out(
    models: tuple[str, ...], structured: bool, extras: bool, without: set[str]
) -> None:
    body = json.loads(request_body(["a"], models, structured=structured, extras=extras))
    everything = {"model", "messages", "max_tokens", "response_format", "plugins", "models"}
    assert set(body) == everything - without


@given(TEXT.map(lambda text: text * 50))
def test_sendable_is_all_but_nul_and_surrogates(text: str) -> None:
    kept = [char for char in text if char != "\x00" and not "\ud800" <= char <= "\udfff"]
    assert sendable(text) == "".join(kept)[:PROMPT_TEXT_LIMIT]
