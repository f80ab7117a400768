"""Whatever a channel posts, its words are read, from each source alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.sources.message_text import message_text

Json = dict[str, Any]

MESSAGES: list[Json] = json.loads(Path(__file__).with_name("message_texts.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", MESSAGES, ids=[case["what"] for case in MESSAGES])
def test_the_words_of_a_message(case: Json) -> None:
    found = message_text(case["message"])
    assert (found.text, found.is_supported) == (case["text"], case.get("is_supported", True))


@pytest.mark.parametrize("name", ["blocks", "text", "hologram"])
def test_absurdly_nested_content_is_read_no_deeper_than_telegram_nests(name: str) -> None:
    """No RecursionError, whatever comes."""
    nested: Any = {"text": "deep"}
    for _ in range(900):
        nested = {name: [nested]}
    assert message_text({"rich_message": nested}).text is None
    assert message_text({"hologram": {"text": "near", "more": nested}}).text == "near"
