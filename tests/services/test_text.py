"""What of a post's text a model sees, and whether that says anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.text import PROMPT_TEXT_LIMIT, has_text, sendable, storable


@pytest.mark.parametrize("text", ["a", "7", "🔥", "\u0301", "\u200b.\u200b", "\U0001fae9"])
def test_what_can_be_seen_is_a_text(text: str) -> None:
    """Even an emoji that is newer than this Python's Unicode."""
    assert has_text(text)


@pytest.mark.parametrize(
    "text", [None, "", " \n\u2028\u3000", "\x00\ud800", "\u200b\u202e\ufeff\u2066", "\u3164\u2800\ufe0f"]
)
def test_what_cannot_be_seen_is_none(text: str | None) -> None:
    """Nothing to tag: no request is spent on it."""
    assert not has_text(text)


@given(st.text(st.characters(exclude_categories=()), max_size=60).map(lambda text: text * 50))
def test_sendable_is_all_but_nul_and_surrogates(text: str) -> None:
    kept = [char for char in text if char != "\x00" and not "\ud800" <= char <= "\udfff"]
    assert sendable(text) == "".join(kept)[:PROMPT_TEXT_LIMIT]


def test_what_postgresql_refuses_is_cut() -> None:
    assert storable("a\x00b\ud800c👍") == "abc👍"
